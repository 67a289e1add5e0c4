// Soak: weeks of a run in virtual time, over datagrams, with what befalls a laptop in a week.
#include <gtest/gtest.h>
#include <malloc.h>

#include <cstdlib>

#include "tests/sim/feed_world.hpp"

namespace longhaul::test {
namespace {

constexpr std::uint64_t kSetBack = 5;  // steps that a run does again after a preemption

std::uint64_t allocated() {
  return ::mallinfo2().uordblks;
}

// A run whose days are all alike; each is checked at its end.
class Soak {
 public:
  Soak() : world_(link()) {
    world_.mirror_on = true;
    world_.next_step = 0;
    world_.step_time = 1min;
    attempt();
    world_.net.start();
    world_.begin_watch();
    world_.train(*log_);
  }

  void day() {
    const Time began = world_.net.wan.now();
    for (int hour = 1; hour <= 24; ++hour) {
      if (hour == 1) world_.net.laptop.sleep_for(8h);  // its lid is closed
      if (hour % 4 == 1 && hour > 1) world_.net.wan.apply(world_.net.link, netsim::Rebind{});
      if (hour % 8 == 4) preempt();
      if (hour == 12) world_.net.site.forget_session();  // the streamer begins anew
      pass(began + hour * 1h);
    }
    world_.net.laptop.events.clear();  // what the test notes
    world_.net.site.events.clear();
    seen_ = 0;
  }
  // All that was recorded is here, each once: FeedWorld fails on a point that comes twice.
  void expect_whole() {
    const auto recorded = [this] { return logged_ + world_.next_step - first_; };
    const auto whole = [&] { return world_.points.size() == recorded(); };
    EXPECT_TRUE(world_.until(whole, 30s)) << world_.points.size() << " of " << recorded();
    EXPECT_EQ(world_.lost, 0U);
    EXPECT_EQ(world_.viewer().held(), 0U);
    EXPECT_EQ(world_.feeders_.back()->held(), 0U);
    // A side: two connections of bulk, two of control, four once packets were lost. Beside those of
    // the session two files, and two that come or go.
    std::size_t paths = 0;
    for (const Node* node : {&world_.net.laptop, &world_.net.site}) {
      const session::Status status = node->session->status();
      EXPECT_LE(status.control_paths, 4U);
      EXPECT_LE(status.bulk_paths, 2U);
      paths += status.control_paths + status.bulk_paths;
    }
    EXPECT_LE(descriptors(), paths + 4);
  }
  std::size_t descriptors() const {  // of both programs
    return world_.net.laptop.open_streams() + world_.net.site.open_streams() +
           world_.site_disk.open_files() + world_.laptop_disk.open_files();
  }
  std::uint64_t mirror_bytes() {
    const auto name = store::TreeName::known("mirror/history");
    return world_.laptop_disk.stat(name)->size;
  }
  // Both programs begin anew: what they held until then.
  std::uint64_t upgrade() {
    const std::uint64_t before = allocated();
    world_.end_all();
    const std::uint64_t held = before - allocated();
    begin_again();
    pass(world_.net.wan.now() + 1min);
    return held;
  }
  std::uint64_t points() const { return world_.points.size(); }
  std::uint64_t sessions() const { return sessions_; }

 private:
  static WorldOptions link() {
    WorldOptions options = ocean(10, 0.001);
    options.session.datagrams = true;
    options.check_every_step = false;
    return options;
  }
  void attempt() {
    log_ = std::make_unique<RunWriter>(world_.site_disk, "r", ++attempts_, "{}",
                                       WallTime{1'000'000'000 + attempts_});
    log_->name(0, "loss");
  }
  void preempt() {
    world_.training = false;
    pass(world_.net.wan.now() + 2 * world_.step_time);  // the timer of its last step has run
    logged_ += world_.next_step - first_;
    first_ = world_.next_step > kSetBack ? world_.next_step - kSetBack : 0;
    world_.next_step = first_;
    attempt();
    world_.training = true;
    world_.train(*log_);
  }
  void begin_again() {
    ++sessions_;
    world_.begin_again();
    seen_ = world_.net.laptop.events.size();
  }
  void pass(Time until) {
    netsim::Wan& wan = world_.net.wan;
    while (world_.until([this] { return over(); }, until - wan.now())) begin_again();
    wan.run_until(until);  // until() ends with the last thing that happens before
    if (over()) begin_again();
  }
  bool over() const {
    const auto& events = world_.net.laptop.events;
    return events.size() > seen_ && std::holds_alternative<session::Ended>(events.back().second);
  }

  FeedWorld world_;
  std::unique_ptr<RunWriter> log_;
  std::uint32_t attempts_ = 0;
  std::uint64_t logged_ = 0;  // of the attempts before this one
  std::uint64_t first_ = 0;   // of this one
  std::uint64_t sessions_ = 1;
  std::size_t seen_ = 0;  // of the laptop's events, those of earlier sessions
};

// Thirty days under LONGHAUL_LONG: each with a night's sleep, five other addresses, three
// preemptions and a streamer begun anew; an upgrade in the middle.
TEST(FeedSoak, P7WeeksOfARunLoseNothingAndGrowNothing) {
  const int days = std::getenv("LONGHAUL_LONG") != nullptr ? 30 : 2;
  Soak soak;
  std::uint64_t half = 0, points = 0, bytes = 0;
  for (int day = 1; day <= days; ++day) {
    soak.day();
    soak.expect_whole();
    ASSERT_FALSE(HasFailure()) << "day " << day;
    const double each = static_cast<double>(soak.mirror_bytes() - bytes) /
                        static_cast<double>(soak.points() - points);
    EXPECT_LE(each, 300) << "day " << day;  // a message a minute, with its frame
    points = soak.points();
    bytes = soak.mirror_bytes();
    std::printf("day %d: %llu points, %llu sessions, %zu descriptors, %.0f bytes a point\n", day,
                static_cast<unsigned long long>(points),
                static_cast<unsigned long long>(soak.sessions()), soak.descriptors(), each);
    if (day == days / 2) half = soak.upgrade();
  }
  const std::uint64_t held = soak.upgrade();
  std::printf("held in the middle %llu, at the end %llu bytes\n",
              static_cast<unsigned long long>(half), static_cast<unsigned long long>(held));
  EXPECT_GT(half, 0U);
  EXPECT_LE(held, half + half / 4);
}

}  // namespace
}  // namespace longhaul::test
