// One simulated link, ours and maybe others on it, in virtual time: prints what happened as CSV,
// one line a step, for plots and for looking at; a summary on stderr. Arguments are key=value:
//   rate_mbit=500 rtt_ms=180 queue_bdp=1 loss=0.01 burst=5 policer_burst_kb=.. jitter_ms=..
//   seconds=30 step_ms=20 seed=1 known_mbit=.. mode=fair|background|max cubic=N bbr=N
//   cubic_at_ms=.. ours=N ours_at_ms=.. second_at_ms=.. event=outage|rate|route at_ms=10000
//   length_ms=10000 to=20
#include <algorithm>
#include <cstdio>
#include <map>
#include <string>

#include "tests/datagram/rate_world.hpp"

namespace {

using namespace longhaul;
using namespace longhaul::datagram;

class Arguments {
 public:
  Arguments(int count, char** words) {
    for (int i = 1; i < count; ++i) {
      const std::string word = words[i];
      const auto cut = word.find('=');
      values_[word.substr(0, cut)] = cut == std::string::npos ? "" : word.substr(cut + 1);
    }
  }
  double number(const std::string& key, double otherwise) const {
    const auto it = values_.find(key);
    return it == values_.end() ? otherwise : std::atof(it->second.c_str());
  }
  std::string word(const std::string& key, const std::string& otherwise = "") const {
    const auto it = values_.find(key);
    return it == values_.end() ? otherwise : it->second;
  }
  Duration ms(const std::string& key, double otherwise) const {
    return Duration(static_cast<std::int64_t>(number(key, otherwise) * 1e6));
  }

 private:
  std::map<std::string, std::string> values_;
};

BytesPerSecond mbit(double value) {
  return BytesPerSecond::from_bits(static_cast<std::uint64_t>(value * 1e6));
}

netsim::LinkConfig link_of(const Arguments& a) {
  netsim::LinkConfig link;
  const BytesPerSecond rate = mbit(a.number("rate_mbit", 500));
  const Duration rtt = a.ms("rtt_ms", 180);
  link.up.rate = netsim::ConstantRate{rate};
  const double bdp = static_cast<double>(rate.bytes_in(rtt).value());
  const double queue = std::max(a.number("queue_bdp", 1) * bdp, 10.0 * kPacketBytes);
  link.up.queue.bytes_max = ByteCount(static_cast<std::uint64_t>(queue));
  link.up.delay.base = link.down.delay.base = rtt / 2;
  const double loss = a.number("loss", 0), burst = a.number("burst", 1);
  if (loss > 0 && burst > 1)
    link.up.loss = netsim::GilbertElliottLoss::of(loss, burst);
  else if (loss > 0)
    link.up.loss = netsim::BernoulliLoss{loss};
  if (loss > 0 && a.number("loss_back", 0) > 0) link.down.loss = link.up.loss;
  if (a.number("policer_burst_kb", 0) > 0) {
    link.up.policer = netsim::PolicerConfig{
        rate, ByteCount(static_cast<std::uint64_t>(a.number("policer_burst_kb", 0) * 1000))};
    link.up.rate = netsim::ConstantRate{mbit(a.number("rate_mbit", 500) * 4)};
  }
  if (a.number("jitter_ms", 0) > 0) {
    link.up.delay.jitter = netsim::NormalJitter{a.ms("jitter_ms", 0)};
    link.up.delay.correlation = a.number("correlation", 0);
    link.down.delay.jitter = link.up.delay.jitter;
  }
  if (a.number("reorder", 0) > 0) link.up.reorder = {a.number("reorder", 0), a.ms("extra_ms", 10)};
  const std::string event = a.word("event");
  const Duration at = a.ms("at_ms", 10'000), length = a.ms("length_ms", 10'000);
  if (event == "outage") link.events.push_back({at, {}, netsim::Outage{length}});
  if (event == "route") link.events.push_back({at, {}, netsim::RouteStep{a.ms("to", 17)}});
  if (event == "rate") {
    const auto step = [&](BytesPerSecond to) {
      return netsim::RateStep{netsim::Direction::kUp, netsim::ConstantRate{to}};
    };
    link.events.push_back({at, {}, step(mbit(a.number("to", 20)))});
    link.events.push_back({at + length, {}, step(rate)});
  }
  return link;
}

double ms(Duration d) {
  return static_cast<double>(d.count()) / 1e6;
}

RateOptions options_of(const Arguments& a) {
  RateOptions options;
  options.packet_bytes = kPacketBytes;
  options.handshake_rtt = a.ms("rtt_ms", 180);
  options.known = {mbit(a.number("known_mbit", 0)), options.handshake_rtt};
  options.limit = mbit(a.number("limit_mbit", 0));
  const std::string mode = a.word("mode");
  if (mode == "background") options.mode = RateMode::kBackground;
  if (mode == "max") options.mode = RateMode::kMax;
  return options;
}

class Watch {  // prints a line a step, keeps what the summary needs
 public:
  Watch(RateWorld& world, const RateControl& rate, std::size_t senders, const Arguments& a)
      : world_(world),
        rate_(rate),
        step_(a.ms("step_ms", 20)),
        half_at_(a.ms("seconds", 30) * 500),
        before_(senders),
        half_(senders) {
    std::puts(
        "seconds,phase,sent_mbit,delivered_mbit,other_mbit,queue_ms,seen_queue_ms,rtt_ms,"
        "capacity_mbit,loss_percent");
    world.every(step_, [this](Duration now) { look(now); });
  }

  void summary(Duration end) {
    std::sort(queues_.begin(), queues_.end());
    for (std::size_t i = 0; i < before_.size(); ++i)
      std::fprintf(stderr, "sender %zu: %.2f Mbit/s in the second half, lost %.3f %%\n", i,
                   rate_over(world_.delivered_bytes(i) - half_[i], end - half_at_),
                   100.0 * static_cast<double>(world_.lost_packets(i)) * kPacketBytes /
                       static_cast<double>(world_.sent_bytes(i)));
    std::fprintf(stderr, "queue p50 %.2f ms p99 %.2f ms\n%s\n", ms(queues_[queues_.size() / 2]),
                 ms(queues_[queues_.size() * 99 / 100]), to_text(rate_.state()).c_str());
  }

 private:
  static double rate_over(std::uint64_t bytes, Duration span) {
    return static_cast<double>(bytes) * 8e3 / static_cast<double>(span.count());
  }
  void look(Duration now) {
    const RateState s = rate_.state();
    double own = 0, other = 0;
    for (std::size_t i = 0; i < before_.size(); ++i) {
      const std::uint64_t all = world_.delivered_bytes(i);
      (i == 0 ? own : other) += rate_over(all - before_[i], step_);
      before_[i] = all;
    }
    std::printf("%.3f,%s,%.3f,%.3f,%.3f,%.3f,%.3f,%.3f,%.3f,%.3f\n", ms(now) / 1e3,
                std::string(name_of(s.phase)).c_str(), static_cast<double>(s.pacing.bits()) / 1e6,
                own, other, ms(world_.queue()), ms(s.queue), ms(s.rtt_smooth),
                static_cast<double>(s.capacity.bits()) / 1e6, s.loss_ppm / 1e4);
    if (now < half_at_) return;
    if (queues_.empty())
      for (std::size_t i = 0; i < half_.size(); ++i) half_[i] = before_[i];
    queues_.push_back(world_.queue());
  }
  RateWorld& world_;
  const RateControl& rate_;
  Duration step_, half_at_;
  std::vector<std::uint64_t> before_, half_;
  std::vector<Duration> queues_;
};

}  // namespace

int main(int count, char** words) {
  const Arguments a(count, words);
  RateWorld world(link_of(a), static_cast<std::uint64_t>(a.number("seed", 1)));
  RateOptions options = options_of(a);
  SenderOptions sender;
  sender.start = a.ms("ours_at_ms", 0);
  sender.clock_offset = 12345ms;
  sender.clock_ppm = static_cast<std::int64_t>(a.number("clock_ppm", 0));
  const RateControl& rate = world.add_ours(options, sender);
  options.known = {};
  const auto ours = static_cast<std::size_t>(a.number("ours", 1));
  sender.start = a.ms("second_at_ms", 5000);
  for (std::size_t i = 1; i < ours; ++i) world.add_ours(options, sender);
  const auto cubic = static_cast<std::size_t>(a.number("cubic", 0));
  sender.start = a.ms("cubic_at_ms", 10'000);
  sender.stop = a.ms("cubic_until_ms", 1e9);
  const auto bbr = static_cast<std::size_t>(a.number("bbr", 0));
  for (std::size_t i = 0; i < cubic; ++i) world.add_cubic(sender);
  for (std::size_t i = 0; i < bbr; ++i) world.add_bbr(sender);
  Watch watch(world, rate, ours + cubic + bbr, a);
  const Duration end = a.ms("seconds", 30) * 1000;
  world.run_until(end);
  watch.summary(end);
}
