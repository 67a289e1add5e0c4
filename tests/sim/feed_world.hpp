// FeedWorld: a laptop that watches and steers a run over a simulated ocean: the session and its TLS
// as they are, run logs and mirror on disks in memory, all in virtual time.
#pragma once

#include <gtest/gtest.h>

#include <set>
#include <span>

#include "lib/feed/feeder.hpp"
#include "lib/feed/viewer.hpp"
#include "tests/feed/run_writer.hpp"
#include "tests/sim/crash_files.hpp"
#include "tests/sim/session_world.hpp"

namespace longhaul::test {

inline constexpr Duration kRtt = 180ms;
inline constexpr Duration kStepTime = 50ms;

inline WorldOptions ocean(std::uint64_t megabits, double loss = 0) {
  WorldOptions options;
  options.link.rtt = kRtt;
  options.link.megabits = megabits;
  options.link.loss = loss;
  options.job_time_max = 3ms;
  return options;
}

// A laptop that watches one run; it keeps what it was told.
class FeedWorld {
 public:
  explicit FeedWorld(WorldOptions options, std::uint64_t seed = 1) : net(seed, options) {
    net.site.make_service = [this]() -> session::Service& {
      feed::FeederOptions feeder;
      feeder.may_steer = owner;
      feeder.who = "ana";
      feeder.wall = [this] { return wall(); };
      feeders_.push_back(std::make_unique<feed::Feeder>(site_disk, feeder));
      return *feeders_.back();
    };
    net.laptop.make_service = [this]() -> session::Service& {
      viewers_.push_back(std::make_unique<feed::Viewer>());
      return *viewers_.back();
    };
  }
  ~FeedWorld() { end_all(); }
  // Sessions before the services that they know, and both before the buffers that they lend.
  void end_all() {
    net.laptop.forget_session();
    net.site.forget_session();
    feeders_.clear();
    viewers_.clear();
    mirror_.reset();
  }

  WallTime wall() const { return WallTime{(net.wan.now() - Time{}).count() + 1'000'000'000'000}; }
  feed::Viewer& viewer() { return *viewers_.back(); }

  void begin_watch(bool past = true) {
    feed::Viewer::WatchOptions options;
    options.run = "r";
    options.past = past;
    if (mirror_on) {
      mirror_ = *feed::Mirror::open(laptop_disk, store::TreeName::known("mirror"));
      mirrored = 0;
      while (auto one = mirror_->next().value())
        mirrored += feed::unpack_history(*one).value().points.size();
      options.have = mirror_->have();
    }
    watch = viewer().watch(net.laptop.clock(), options, mirror_.get());
    net.laptop.drain();
  }
  // The laptop's process dies; the next one begins where its mirror is.
  void begin_again() {
    net.laptop.forget_session();
    mirror_.reset();
    if (!mirror_on) points.clear();
    opened = false;
    net.redial();
    begin_watch();
  }

  // A step of the run each step_time, from now on.
  void train(RunWriter& log) {
    net.wan.clock().after(step_time, [this, &log] {
      if (!training) return;
      applied += log.obey(site_disk, book, wall(), next_step);
      log.step(next_step);
      logged_at[next_step++] = net.wan.now();
      train(log);
    });
  }
  void hear() {
    while (auto event = viewer().poll_event()) {
      if (auto* open = std::get_if<feed::Opened>(&*event)) {
        opened = !open->error;
        refused = open->error;
      } else if (auto* took = std::get_if<feed::Took>(&*event)) {
        lost += took->first - took->after;
        for (const run::Point& point : took->points)
          EXPECT_TRUE(points.emplace(took->attempt, point.step).second) << "twice " << point.step;
      } else if (auto* fresh = std::get_if<feed::Fresh>(&*event)) {
        newest = std::max(newest, fresh->values.at(0).step);
        newest_at = net.wan.now();
      } else if (auto* heard = std::get_if<feed::Heard>(&*event)) {
        news += heard->entries.size();
      } else if (auto* steered = std::get_if<wire::Steered>(&*event)) {
        verdicts.push_back(*steered);
      } else if (auto* part = std::get_if<feed::Printed>(&*event)) {
        EXPECT_TRUE(part->error || part->offset == printed_from + printed.size());
        printed.append(reinterpret_cast<const char*>(part->bytes.data()), part->bytes.size());
        printed_size = part->size;
        printed_last = part->last;
        printed_error = part->error;
      } else if (auto* broken = std::get_if<feed::FeedBroken>(&*event)) {
        ADD_FAILURE() << broken->why.message();
      }
    }
  }
  bool until(const std::function<bool()>& done, Duration limit) {
    return net.run_until(
        [&] {
          hear();
          return done();
        },
        limit);
  }
  void steer(std::uint64_t id, Duration lifetime) {
    wire::Steer command;
    command.watch = watch;
    command.id = {id};
    command.kind = 1;
    command.name = "lr";
    command.value = 0.5;
    command.expires = WallTime{wall().ns + lifetime.count()};
    viewer().steer(net.laptop.clock(), command);
    net.laptop.drain();
  }

  sim::CrashFiles site_disk, laptop_disk;
  bool owner = true, mirror_on = false;
  std::deque<std::unique_ptr<feed::Feeder>> feeders_;
  std::deque<std::unique_ptr<feed::Viewer>> viewers_;
  std::unique_ptr<feed::Mirror> mirror_;
  SessionWorld net;
  wire::WatchId watch;

  bool training = true;
  Duration step_time = kStepTime;
  std::uint64_t next_step = 1'000'000;
  std::map<std::uint64_t, Time> logged_at;
  run::ControlBook book;
  std::uint64_t applied = 0;

  bool opened = false;
  std::optional<Error> refused;
  std::set<std::pair<std::uint32_t, std::uint64_t>> points;
  std::uint64_t lost = 0, newest = 0, news = 0, mirrored = 0;
  Time newest_at{};
  std::vector<wire::Steered> verdicts;
  std::string printed;  // of the run's output, from printed_from on
  std::uint64_t printed_from = 0, printed_size = 0;
  bool printed_last = false;
  std::optional<Error> printed_error;

  void read_output(std::uint64_t offset, bool from_end, bool follow) {
    printed.clear();
    printed_last = false;
    printed_error.reset();
    viewer().read_output(net.laptop.clock(), {"r", offset, from_end, follow});
    net.laptop.drain();
  }
};

// What a run's program prints, and its file.
class Printer {
 public:
  explicit Printer(store::Files& files) : files_(files) {
    ASSERT(store::make_folders(files, name_.parent()).has_value());
    open(store::Access::kCreate);
  }
  void print(const std::string& text) {
    ASSERT(file_->write_at(std::as_bytes(std::span(text)), all.size()).has_value());
    all += text;
  }
  void begin_anew() {
    ASSERT(files_.remove(name_).has_value());
    open(store::Access::kCreate);
    all.clear();
  }
  std::string all;

 private:
  void open(store::Access access) {
    auto opened = files_.open(name_, access);
    ASSERT(opened.has_value());
    file_ = *std::move(opened);
  }
  store::Files& files_;
  const store::TreeName name_ = store::TreeName::known("runs/r/output");
  std::unique_ptr<store::File> file_;
};

inline void put_backlog(RunWriter& log, std::uint64_t steps) {
  log.name(0, "loss");
  for (std::uint64_t step = 0; step < steps; ++step) log.step(step);
}

}  // namespace longhaul::test
