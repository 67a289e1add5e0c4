// Questions: control messages of the laptop's, each answered by the site, beside whatever else the
// session carries; how much longer than the link's round trip each one took.
#pragma once

#include <algorithm>
#include <map>
#include <vector>

#include "tests/sim/session_world.hpp"

namespace longhaul::test {

// Of the sorted values the one that `percent` of a hundred lie below; Duration::max() of none.
inline Duration percentile(std::vector<Duration>& all, std::size_t percent) {
  std::sort(all.begin(), all.end());
  return all.empty() ? Duration::max() : all[(all.size() - 1) * percent / 100];
}

class Questions {
 public:
  // Before the world starts.
  explicit Questions(SessionWorld& world) : world_(world) {
    answers_.on_each = [this](Time, session::Lane lane, const Slice& message) {
      answers_.send(lane, number_of(message) + kAnswer, kBytes);
    };
    asks_.on_each = [this](Time now, session::Lane, const Slice& message) {
      waits.push_back(now - sent_.at(number_of(message) - kAnswer) - world_.options.link.rtt);
    };
    world.laptop.make_second = [this]() -> session::Service& { return asks_; };
    world.site.make_second = [this]() -> session::Service& { return answers_; };
  }
  // One question; then the world runs for as long.
  void ask_and_run(Duration pause) {
    sent_[asked_] = world_.wan.now();
    asks_.send(session::Lane::kControl, asked_++, kBytes);
    world_.laptop.drain();
    world_.run_for(pause);
  }

  std::vector<Duration> waits;  // of those that were answered

 private:
  static constexpr std::uint64_t kAnswer = 1'000'000;
  static constexpr std::size_t kBytes = 64;
  SessionWorld& world_;
  ScriptService asks_, answers_;
  std::map<std::uint64_t, Time> sent_;
  std::uint64_t asked_ = 0;
};

}  // namespace longhaul::test
