// LinkPlan: when the daemon begins a session to a site, and how the link stands. A session looks
// for paths by itself for as long as it lives (lib/session); this says what follows when it has
// ended: once more, after a pause that doubles from kPauseLeast up to a minute, for ever. What only
// a person can mend (a key that is not known there, an ssh login that fails) is tried less often. A
// value; `now` goes on while the machine sleeps.
#pragma once

#include <optional>
#include <string_view>

#include "lib/base/error.hpp"
#include "lib/base/units.hpp"

namespace longhaul::daemon {

constexpr Duration kPauseLeast = std::chrono::seconds(1);
constexpr Duration kPauseMost = std::chrono::minutes(1);
constexpr Duration kMendPause = std::chrono::minutes(5);  // until a person may have mended it

enum class LinkState : std::uint8_t {
  kWaiting,     // no session; the next one begins at next()
  kConnecting,  // a session that no path has reached yet
  kUp,
  kDown,  // a session without a path: it goes on as soon as there is one
};
std::string_view name_of(LinkState state);

class LinkPlan {
 public:
  explicit LinkPlan(Time now) : since_(now), next_(now) {}
  bool begins(Time now) const { return state_ == LinkState::kWaiting && now >= next_; }
  void on_begun(Time now);
  // established: once in this session; up: there is a path now.
  void on_session(Time now, bool established, bool up);
  // mends: only a person can mend it.
  void on_ended(Time now, const Error& why, bool mends);
  // This host's addresses changed, or somebody asks: there is reason to try now.
  void hurry(Time now);

  LinkState state() const { return state_; }
  Time since() const { return since_; }  // of the state
  // Up to when the link is known to have stood; nullopt: never.
  std::optional<Time> stood_until() const { return stood_until_; }
  // Of kWaiting.
  Time next() const { return next_; }
  const std::optional<Error>& why() const {
    return why_;
  }  // the last session ended; cleared when up

 private:
  void move_to(Time now, LinkState state);
  LinkState state_ = LinkState::kWaiting;
  Time since_, next_;
  std::optional<Time> stood_until_;
  Duration pause_ = kPauseLeast;
  std::optional<Error> why_;
};

}  // namespace longhaul::daemon
