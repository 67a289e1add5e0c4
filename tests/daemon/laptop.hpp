// Laptop: a laptop's SiteCore and a site that answers as a feeder does, with time as a number.
#pragma once

#include <gtest/gtest.h>

#include "proxy/daemon/site_core.hpp"

namespace longhaul::daemon {

inline constexpr WallTime kBegan{1'000'000'000'000};

struct Laptop {
  SiteCore core{Time{}};
  Time now{};
  std::optional<Time> silent_since;  // the link looks up, and nothing comes
  std::uint64_t watches = 0, requests = 0;
  std::map<std::string, wire::WatchId> open;
  std::vector<wire::Steer> steers;
  std::vector<Order> kept, tasks;
  std::vector<std::uint64_t> ended;  // tasks, at our word
  bool disk_works = true;            // of orders
  std::size_t mirrors = 0, lists = 0;
  MirrorRead disk = {.have = {}, .steps = {}, .decided = {}, .appends = true};  // of every run
  std::vector<wire::LogPlace> have;  // as the newest watch said

  WallTime wall() const { return {kBegan.ns + (now - Time{}).count()}; }
  void connect() {
    ASSERT_TRUE(core.begins(now));
    core.on_session(now);
    core.on_link(now, true, true, now);
    obey();
  }
  void lose(bool for_good) {
    core.on_link(now, true, false, now);
    if (!for_good) return;
    open.clear();
    core.on_ended(now, Error(Kind::kLink, "go on", "no path for a day"), false);
  }
  void obey() {
    if (core.link().state() == LinkState::kUp)
      core.on_link(now, true, true, silent_since.value_or(now));
    obey_all();
    // Or the owner would come back at once, for ever.
    EXPECT_TRUE(core.begins(now) || core.next_deadline(now) > now);
  }
  void obey_all() {
    core.check();
    while (auto act = core.poll(now, wall())) {
      core.check();
      if (std::holds_alternative<AskRuns>(*act)) {
        ++lists;
        core.on_asked(wire::FeedRequest(++requests));
      } else if (const auto* mirror = std::get_if<OpenMirror>(&*act)) {
        ++mirrors;
        core.on_mirror(now, mirror->run, disk);
      } else if (const auto* watch = std::get_if<StartWatch>(&*act)) {
        const wire::WatchId id(++watches);
        open[watch->run] = id;
        have = watch->have;
        core.board().on_watch(watch->run, id);
      } else if (const auto* over = std::get_if<EndWatch>(&*act)) {
        open.erase(over->run);
      } else if (const auto* steer = std::get_if<wire::Steer>(&*act)) {
        steers.push_back(*steer);
      } else if (const auto* order = std::get_if<KeepOrder>(&*act)) {
        kept.push_back(order->order);
        if (disk_works) core.on_kept(order->order);
      } else if (const auto* task = std::get_if<BeginTask>(&*act)) {
        tasks.push_back(task->order);
      } else if (const auto* end = std::get_if<EndTask>(&*act)) {
        ended.push_back(end->id);
      }
    }
  }
  void list(std::vector<wire::RunLine> runs) {
    feed::RunsListed page{wire::FeedRequest(requests), std::move(runs), true, std::nullopt};
    core.on_event(now, wall(), page);
    obey();
  }
  void opened(const std::string& run, std::optional<Error> error = std::nullopt) {
    core.on_event(now, wall(), feed::Opened{open.at(run), error, wall()});
    obey();
  }
  void say(std::uint64_t id, wire::SteerState state) {
    wire::Steered steered;
    steered.id = {id};
    steered.state = state;
    core.on_event(now, wall(), steered);
    obey();
  }
  std::uint64_t have_next() const { return have.size() == 1 ? have[0].next : 0; }
  // All of attempt 1 is `records` long, and it came.
  void heard_all(const std::string& run, std::uint64_t records) {
    feed::Took took;
    took.watch = open.at(run);
    took.attempt = 1;
    took.next = records;
    core.on_event(now, wall(), took);
    core.on_event(now, wall(), feed::Heard{open.at(run), 1, records, wall(), wall(), {}});
    obey();
  }
  void applied(const std::string& run, std::uint64_t id, std::uint64_t step) {
    run::RunEvent event;
    event.kind = run::EventKind::kApplied;
    event.id = id;
    event.step = step;
    feed::Heard heard{open.at(run), 1, 10, wall(), wall(), {}};
    run::LogEntry entry;
    entry.record = event;
    heard.entries.push_back(entry);
    core.on_event(now, wall(), heard);
    obey();
  }
  Order steer(std::uint64_t number, Duration lifetime, const std::string& run = "r") {
    Order order;
    order.number = number;
    order.id = 100 + number;
    order.site = "lab";
    order.target = run;
    order.command = "lr=0.001";
    order.made = wall();
    order.expires.ns = wall().ns + lifetime.count();
    core.on_order(now, order);
    core.check();
    return order;
  }
};

inline wire::RunLine running(const std::string& name, std::int64_t wrote) {
  wire::RunLine line;
  line.name = name;
  line.state = wire::RunState::kRunning;
  line.attempts = 1;
  line.wrote.ns = wrote;
  return line;
}

inline Order push_order(std::uint64_t number) {
  Order push;
  push.number = push.id = number;
  push.kind = OrderKind::kPush;
  push.site = "lab";
  push.target = "corpus";
  push.source = "/data";
  return push;
}

inline Order follow_order(std::uint64_t number) {
  Order follow;
  follow.number = follow.id = number;
  follow.kind = OrderKind::kFollow;
  follow.site = "lab";
  follow.target = "r";
  follow.into = "/here";
  return follow;
}

}  // namespace longhaul::daemon
