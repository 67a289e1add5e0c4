// PathChoice: whether bulk goes in datagrams or over the TLS connections. Datagrams are preferred
// as soon as they are answered; until then both carry, so that neither has to be waited for. While
// there is always something to send the other way is tried beside the one in use, now and then: a
// network that throttles one of them shows it by carrying more on the other than the first carried
// alone. Not while datagrams give way to others: a bundle of TLS connections would take from them
// what we leave to them, and then be called the faster. A pure rule over rounds of about one round
// trip. Not thread-safe.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "lib/base/units.hpp"

namespace longhaul::session {

enum class ChoiceReason : std::uint8_t {
  kNone,        // datagrams are not in use
  kTrying,      // no answer to a datagram yet: both carry
  kAnswered,    // datagrams are answered
  kUnanswered,  // datagrams go unanswered: blocked, or the path is dead
  kTesting,     // both carry, to see whether the other is faster
  kThrottled,   // the connections carried more than the datagrams
};
std::string_view name_of(ChoiceReason reason);

class PathChoice {
 public:
  struct Round {
    Duration length{};
    std::uint64_t datagram_bytes = 0, stream_bytes = 0;  // acknowledged in it
    Duration rtt{};
    bool busy = false;  // there was always something to send
    // Datagrams carried less than they might, for the sake of others on the link: not throttled.
    bool gives_way = false;
  };

  void on_begin(Time now);  // keys for datagrams are there
  void on_end(Time now);    // they are over
  // answered: Life::kAlive; stalled: Life::kStalled.
  void on_life(Time now, bool answered, bool stalled);
  void on_round(Time now, const Round& round);

  bool datagrams() const {
    return mode_ != Mode::kOff && mode_ != Mode::kSilent && mode_ != Mode::kStreams;
  }
  bool streams() const { return mode_ != Mode::kDatagrams; }
  ChoiceReason reason() const;
  void check() const;  // invariants

 private:
  enum class Mode : std::uint8_t {
    kOff,
    kTrying,
    kSilent,
    kDatagrams,
    kTestStreams,
    kStreams,
    kTestDatagrams
  };
  void enter(Time now, Mode mode);
  Mode mode_ = Mode::kOff;
  Time since_{};
  Duration busy_for_{};
  std::optional<Time> gave_way_;  // last
  // A test is not free: both ways at once take from each other, and each takes the other for a
  // full link. What is over sooner than this is not worth one.
  Duration pause_ = std::chrono::seconds(30);
  BytesPerSecond alone_;          // what the path in use carried, lately, at most
  std::uint64_t test_bytes_ = 0;  // on the other, in the second half of the test
  Duration test_span_{};
};

}  // namespace longhaul::session
