// FeedBeside: a run that is watched and steered in the sessions of a world that is about something
// else. A short run with a past, one command; judge() says whether all of it came, each once.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "lib/feed/feeder.hpp"
#include "lib/feed/viewer.hpp"
#include "tests/feed/run_writer.hpp"
#include "tests/sim/session_world.hpp"

namespace longhaul::test {

class FeedBeside {
 public:
  // Both outlive it, and the sessions of `net` end before it does. The disk is the site's.
  FeedBeside(SessionWorld& net, store::Files& disk);
  void start();
  void hear();  // after each step of the world
  // Nothing more is on its way: all points are here and the command's verdict, or it went wrong.
  bool done() const;
  std::string judge() const;  // empty: as it should be

 private:
  static constexpr std::uint64_t kPast = 500, kSteps = 620;
  static constexpr Duration kStepTime = 50ms;
  session::Service& feeder();
  session::Service& viewer();
  void tick();
  void steer();
  WallTime wall() const { return WallTime{(net_.wan.now() - Time{}).count() + 1'000'000'000'000}; }

  SessionWorld& net_;
  store::Files& disk_;
  RunWriter log_;
  run::ControlBook book_;
  std::uint64_t step_ = 0, applied_ = 0;
  std::deque<std::unique_ptr<feed::Feeder>> feeders_;
  std::deque<std::unique_ptr<feed::Viewer>> viewers_;
  wire::WatchId watch_;
  wire::LogPlace have_{1, 0, 0};
  std::uint64_t points_ = 0;  // of the history, in order from step 0
  std::uint64_t newest_ = 0;
  std::vector<wire::Steered> verdicts_;  // but `received`
  std::string wrong_;
};

}  // namespace longhaul::test
