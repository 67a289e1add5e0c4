// kill -9 of the daemon at every step of an order's life: whatever was on its way is lost, the disk
// stays. The order takes effect once, and the disk says at which step.
#include <gtest/gtest.h>
#include <malloc.h>

#include <deque>
#include <functional>
#include <map>
#include <memory>

#include "proxy/daemon/order_queue.hpp"
#include "tests/daemon/laptop.hpp"
#include "tests/sim/crash_files.hpp"

namespace longhaul::daemon {
namespace {

constexpr Duration kTick = 100ms;
constexpr int kTicksToApply = 3;

// The site's end: a command is carried out once, some ticks after it came first.
struct Site {
  std::map<std::uint64_t, int> waiting;            // id: ticks left
  std::map<std::uint64_t, std::uint64_t> applied;  // id: step
  std::uint64_t step = 0, carried_out = 0;

  wire::Steered answer(std::uint64_t id) {
    wire::Steered steered;
    steered.id = {id};
    steered.state = wire::SteerState::kReceived;
    if (applied.contains(id)) {
      steered.state = wire::SteerState::kApplied;
      steered.attempt = 1;
      steered.step = applied.at(id);
    } else {
      waiting.try_emplace(id, kTicksToApply);
    }
    return steered;
  }
  std::vector<std::uint64_t> pass() {  // what took effect now
    std::vector<std::uint64_t> now_applied;
    ++step;
    for (auto at = waiting.begin(); at != waiting.end();) {
      if (--at->second > 0) {
        ++at;
        continue;
      }
      ++carried_out;
      applied[at->first] = step;
      now_applied.push_back(at->first);
      at = waiting.erase(at);
    }
    return now_applied;
  }
};

class KilledDaemon {
 public:
  // lost: what the daemon sent in its last step never arrives.
  KilledDaemon(std::uint64_t kill_at, bool lost) : kill_at_(kill_at), lost_(lost) {
    Order order;
    order.id = 7;
    order.site = "lab";
    order.target = "r";
    order.command = "lr=0.001";
    order.made = wall();
    order.expires.ns = wall().ns + Duration(1h).count();
    EXPECT_TRUE(queue_.add(order).has_value());
    boot();
  }
  // The order's end on the disk, if it came to one.
  std::optional<Order> run() {
    for (int tick = 0; tick < 600; ++tick) {
      now_ += kTick;
      site_passes();
      daemon_runs();
      const auto done = queue_.done();
      if (done && !done->empty()) return done->front();
    }
    return std::nullopt;
  }
  bool killed() const { return steps_ >= kill_at_; }
  const Site& site() const { return site_; }

 private:
  WallTime wall() const { return {kBegan.ns + (now_ - Time{}).count()}; }
  void boot() {
    coming_.clear();
    watch_.reset();
    core_ = std::make_unique<SiteCore>(now_);
    const std::vector<Order> waiting = queue_.waiting().value();
    for (const Order& order : waiting) core_->on_order(now_, order);
    core_->on_session(now_);
    core_->on_link(now_, true, true, now_);
  }
  bool dies() { return ++steps_ == kill_at_; }
  void site_passes() {
    for (const std::uint64_t id : site_.pass()) {
      if (!watch_) continue;  // nobody is there to hear it
      coming_.push_back([this, id] { core_->on_event(now_, wall(), verdict(id)); });
      coming_.push_back([this, id] { core_->on_event(now_, wall(), mark(id)); });
    }
  }
  wire::Steered verdict(std::uint64_t id) { return site_.answer(id); }
  feed::Heard mark(std::uint64_t id) {
    run::RunEvent event;
    event.kind = run::EventKind::kApplied;
    event.id = id;
    event.step = site_.applied.at(id);
    feed::Heard heard{*watch_, 1, 10, wall(), wall(), {}};
    run::LogEntry entry;
    entry.record = event;
    heard.entries.push_back(entry);
    return heard;
  }
  void daemon_runs() {
    core_->on_link(now_, true, true, now_);
    while (!coming_.empty()) {
      const auto next = std::move(coming_.front());
      coming_.pop_front();
      next();
      if (dies()) return boot();
    }
    while (auto act = core_->poll(now_, wall())) {
      if (dies()) {
        if (!lost_) obey(*act);
        return boot();
      }
      obey(*act);
    }
  }
  void obey(const Act& act) {
    if (std::holds_alternative<AskRuns>(act)) {
      const wire::FeedRequest request(++requests_);
      core_->on_asked(request);
      coming_.push_back([this, request] {
        const feed::RunsListed page{request, {running("r", 1)}, true, std::nullopt};
        core_->on_event(now_, wall(), page);
      });
    } else if (const auto* mirror = std::get_if<OpenMirror>(&act)) {
      core_->on_mirror(now_, mirror->run, {{}, {}, {}, true});
    } else if (const auto* watch = std::get_if<StartWatch>(&act)) {
      watch_ = wire::WatchId(++watches_);
      core_->board().on_watch(watch->run, *watch_);
      coming_.push_back([this, id = *watch_] {
        core_->on_event(now_, wall(), feed::Opened{id, std::nullopt, wall()});
        for (const auto& [applied, step] : site_.applied)  // its history
          core_->on_event(now_, wall(), mark(applied));
      });
    } else if (const auto* steer = std::get_if<wire::Steer>(&act)) {
      const wire::Steered steered = site_.answer(steer->id.value);
      coming_.push_back([this, steered] { core_->on_event(now_, wall(), steered); });
    } else if (const auto* order = std::get_if<KeepOrder>(&act)) {
      ASSERT_TRUE(queue_.keep(order->order).has_value());
      core_->on_kept(order->order);
    }
  }

  const std::uint64_t kill_at_;
  const bool lost_;
  sim::CrashFiles files_;
  OrderQueue queue_{files_};
  Site site_;
  std::unique_ptr<SiteCore> core_;
  Time now_{};
  std::deque<std::function<void()>> coming_;
  std::optional<wire::WatchId> watch_;
  std::uint64_t steps_ = 0, requests_ = 0, watches_ = 0;
};

TEST(SiteCore, KilledAtAnyStepAnOrderTakesEffectOnceAndItsStepIsKept) {
  std::uint64_t steps = 0;
  for (const bool lost : {false, true}) {
    for (std::uint64_t kill_at = 1;; ++kill_at) {
      SCOPED_TRACE(kill_at);
      KilledDaemon daemon(kill_at, lost);
      const auto end = daemon.run();
      ASSERT_TRUE(end.has_value());
      EXPECT_EQ(end->state, OrderState::kApplied);
      EXPECT_EQ(daemon.site().carried_out, 1U);
      EXPECT_EQ(end->step, daemon.site().applied.at(7));
      steps = kill_at;
      if (!daemon.killed()) break;
    }
    EXPECT_GT(steps, 8U);  // list, mirror, watch, sent, the command, received, applied
  }
}

// What ASan's own allocator holds is not told: there this shows nothing.
TEST(SiteCore, TenThousandLostSessionsGrowNothing) {
  constexpr int kTimes = 10'000, kWarm = 100;
  Laptop laptop;
  std::size_t before = 0;
  for (int i = 0; i < kTimes; ++i) {
    laptop.now += 2min;
    laptop.connect();
    laptop.list({running("r", i), running("of its own " + std::to_string(i), i)});
    laptop.opened("r");
    laptop.heard_all("r", static_cast<std::uint64_t>(i));
    laptop.lose(true);
    if (i == kWarm) before = ::mallinfo2().uordblks;
  }
  EXPECT_LE(::mallinfo2().uordblks, before + (64U << 10));
}

}  // namespace
}  // namespace longhaul::daemon
