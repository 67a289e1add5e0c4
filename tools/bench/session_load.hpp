// What the benches of sessions in virtual time share: endless bulk beside a control message every
// 20 ms, and the world that two sessions meet in.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <vector>

#include "tests/sim/session_world.hpp"

namespace longhaul::bench {

using session::Lane;

constexpr Duration kRtt = 180ms, kPingPause = 20ms, kStep = 100ms;
constexpr double kLinkBytes = 500e6 / 8;  // a second

// Bulk without end and a control message every 20 ms, which the twin sends back.
class Load final : public session::Service {
 public:
  explicit Load(bool leads) : leads_(leads) {}
  void on_message(Time now, Lane lane, Slice message) override {
    if (lane == Lane::kBulk) bulk += message.size();
    if (lane != Lane::kControl) return;
    if (!leads_) {
      answers_.push_back(std::move(message));
      return;
    }
    const auto sent = Duration(static_cast<std::int64_t>(load_le<std::uint64_t>(message.bytes())));
    trips.emplace_back(Time{} + sent, now.time_since_epoch() - sent);
  }
  void on_job(Time, Job) override {}
  void on_deadline(Time now) override {
    if (leads_ && pings && now >= next_ping_) ping_due_ = true;
  }
  void on_link(Time, session::LinkState) override {}
  void on_end(Time, const Error& why) override {
    fmt::print(stderr, "the session ended: {}\n", why.message());
    std::exit(1);
  }
  std::optional<session::ServiceOutput> poll_output(Time now, const session::Room& room) override {
    session::Message message;
    message.lane = Lane::kControl;
    if (!answers_.empty() && room.in(Lane::kControl)) {
      message.body = std::move(answers_.front());
      answers_.erase(answers_.begin());
      return message;
    }
    if (ping_due_ && room.in(Lane::kControl)) {
      ByteVector body(64);
      store_le<std::uint64_t>(body, static_cast<std::uint64_t>(now.time_since_epoch().count()));
      message.body = Slice::copy_of(body);
      ping_due_ = false;
      next_ping_ = now + kPingPause;
      return message;
    }
    if (!leads_ || !room.in(Lane::kBulk) || bulk_left == 0) return std::nullopt;
    message.lane = Lane::kBulk;
    message.body = block_;
    bulk_left -= std::min<std::uint64_t>(bulk_left, block_.size());
    return message;
  }
  std::optional<Time> next_deadline() const override {
    if (!leads_ || !pings || ping_due_) return std::nullopt;
    return next_ping_;
  }
  std::size_t held() const override { return 0; }
  void check() const override {}

  std::uint64_t bulk = 0;
  bool pings = true;
  std::uint64_t bulk_left = std::numeric_limits<std::uint64_t>::max();  // to send
  std::vector<std::pair<Time, Duration>> trips;                         // sent at; round trip

 private:
  const bool leads_;
  bool ping_due_ = false;
  Time next_ping_{};
  std::vector<Slice> answers_;
  Slice block_ = Slice::copy_of(ByteVector(64U << 10));
};

inline double ms(Duration span) {
  return static_cast<double>(span.count()) * 1e-6;
}

struct Trips {
  double p50 = 0, p99 = 0, most = 0;  // milliseconds above the way's own
  std::size_t count = 0;
};
inline Trips trips_of(const Load& load, Time from, Time to, Duration base) {
  std::vector<Duration> sorted;
  for (const auto& [sent, trip] : load.trips)
    if (sent >= from && sent < to) sorted.push_back(trip);
  if (sorted.empty()) return {};
  std::sort(sorted.begin(), sorted.end());
  return {ms(sorted[sorted.size() / 2] - base), ms(sorted[sorted.size() * 99 / 100] - base),
          ms(sorted.back() - base), sorted.size()};
}

struct Bench {
  explicit Bench(const test::WorldOptions& how, std::uint64_t seed = 1)
      : leads(true), follows(false), world(seed, how) {
    world.laptop.make_service = [this]() -> session::Service& { return leads; };
    world.site.make_service = [this]() -> session::Service& { return follows; };
  }
  static test::WorldOptions options(bool udp, std::uint64_t megabits, double loss) {
    test::WorldOptions how;
    how.link = {.rtt = kRtt, .megabits = megabits, .loss = loss};
    how.session.datagrams = udp;
    return how;
  }
  // Share of the link that whole messages had, over a step.
  double share() {
    const std::uint64_t before = follows.bulk;
    world.run_for(kStep);
    return static_cast<double>(follows.bulk - before) / (kLinkBytes * 0.1 * 1424 / 1500);
  }
  Load leads, follows;
  test::SessionWorld world;
};

// How long what waits at the bottleneck takes to leave.
inline Duration queue_of(Bench& bench) {
  const auto& pipe = bench.world.wan.link(bench.world.link).pipe(netsim::Direction::kUp);
  const auto& rate = std::get<netsim::ConstantRate>(pipe.config().rate).rate;
  return rate.time_for(ByteCount(pipe.queue_bytes()));
}

}  // namespace longhaul::bench
