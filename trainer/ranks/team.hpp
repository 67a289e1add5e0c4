// Team: the ranks of one run together, as a rank sees them: the star, rank 0's gate, and the
// collectives. What rank 0 decides (settings, the end) goes with its "go" for a step, so that all
// ranks do it at the same step. The training thread; only the collectives may be used by another.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "trainer/ranks/collectives.hpp"
#include "trainer/ranks/gate.hpp"
#include "trainer/ranks/star.hpp"

namespace longhaul::trainer {

class Team {
 public:
  using Join = Result<std::unique_ptr<Collectives>>(const Membership&);  // gloo_collectives, say
  // Meets the others: at most `patience`, which is also that of one collective call.
  static Result<std::unique_ptr<Team>> form(const RankPlace& place, Duration patience,
                                            std::function<bool()> stop_asked, Join& join);
  std::uint64_t rank() const { return place_.rank; }
  std::uint64_t ranks() const { return place_.ranks; }
  bool leads() const { return place_.rank == 0; }
  Collectives& collectives() { return *collectives_; }
  // Every rank's text at every rank; kLink when one is gone, else the kind of what it failed by.
  // kInterrupted when this rank or another was asked to stop meanwhile.
  Result<std::vector<std::string>> exchange(const std::string& mine) {
    return star_->exchange(mine, patience_, stop_asked_);
  }
  // Whether one will not come to the next exchange any more, and which. Whoever does what may take
  // hours before an exchange asks now and then.
  bool missing() const { return star_->gone().has_value(); }
  Error who_left() { return star_->who_left(); }

  // Rank 0. Takes in what the others say, for at most `most`; kLink when one is gone or has failed.
  Result<> look(Duration most);
  const Gate& gate() const { return gate_; }
  void go(std::uint64_t step, std::span<const Command> settings);
  // Nullopt, or kInterrupted: a stop, which is no error of the others.
  void end(const std::optional<Error>& why);
  // Any rank's last word to the others: of the others only why they fail.
  void leave(const std::optional<Error>& why);
  // kTimeout: a rank that does not hold `step`'s batch has said nothing for the whole patience, nor
  // has this one waited for it a shorter time. One that waits for data says so now and then.
  Result<> expect_words(std::uint64_t step, Duration waited) const;
  // After a collective has failed: which rank it was, or `error` if none is seen to be gone.
  Error who_is_gone(const Error& error);

  // The others.
  void say_ready(std::uint64_t step, bool stop);
  // As often as one likes: what rank 0 has heard is said again after a second, or a quarter of the
  // patience. Rank 0 may be busy for minutes, and words that it does not read fill the connection.
  void say_waits(Time now, std::uint64_t step, const std::string& what, bool stop);
  void say_failed(const Error& why);
  struct Told {
    bool ends = false;  // as somebody asked
    std::uint64_t step = 0;
    std::vector<Command> settings{};
  };
  // What rank 0 says next; none: nothing in that time. kLink: it is gone. Else the kind of the
  // error that it ends the run by.
  Result<std::optional<Told>> told(Duration most);

 private:
  Team(const RankPlace& place, Duration patience, std::function<bool()> stop_asked,
       std::unique_ptr<Star> star)
      : place_(place),
        patience_(patience),
        stop_asked_(std::move(stop_asked)),
        star_(std::move(star)),
        gate_(place.ranks),
        heard_(place.ranks) {}

  RankPlace place_;
  Duration patience_;
  std::function<bool()> stop_asked_;
  std::unique_ptr<Star> star_;
  Gate gate_;
  std::vector<std::optional<std::chrono::steady_clock::time_point>> heard_;  // last, by rank
  Message said_waits_;
  Time say_again_{};  // the same
  std::unique_ptr<Collectives> collectives_;
};

}  // namespace longhaul::trainer
