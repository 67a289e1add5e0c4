// fairness [--json] [CELL]: one session's rate control beside one other sender on a droptail link
// of 180 ms, in virtual time: CUBIC or BBR (netsim's models, windows without a limit), or another
// of ours. Seconds 30 to 120 count. Both orders of joining. A line a cell; CELL is the beginning of
// its name, MODE-RIVAL-RATE-QUEUE: fair-cubic-500-1.
//   fair        ours over min(half the link, what the rival reaches alone): bar 0.7 to 1.5
//   background  what the rival loses of what it reaches alone: bar 10 %
//   two         Jain's index of two of ours: bar 0.95
//   alone       queue, p50 and p99: bar 5 and 25 ms
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include "tests/datagram/rate_world.hpp"

namespace {

using namespace longhaul;
using namespace longhaul::datagram;

constexpr Duration kRtt = 180ms, kFrom = 30s, kTo = 120s, kLate = 5s;

struct Link {
  double megabits, queue_bdp;
  BytesPerSecond rate() const {
    return BytesPerSecond::from_bits(static_cast<std::uint64_t>(megabits * 1e6));
  }
  netsim::LinkConfig config() const {
    netsim::LinkConfig link;
    link.up.rate = netsim::ConstantRate{rate()};
    const auto bdp = static_cast<double>(rate().bytes_in(kRtt).value());
    link.up.queue.bytes_max = ByteCount(static_cast<std::uint64_t>(queue_bdp * bdp));
    link.up.delay.base = link.down.delay.base = kRtt / 2;
    return link;
  }
};

enum class Who { kNobody, kOurs, kBackground, kCubic, kBbr };

void add(RateWorld& world, Who who, Duration start) {
  SenderOptions sender;
  sender.start = start;
  RateOptions options;
  options.packet_bytes = kPacketBytes;
  options.handshake_rtt = kRtt;
  if (who == Who::kBackground) options.mode = RateMode::kBackground;
  if (who == Who::kCubic) world.add_cubic(sender);
  if (who == Who::kBbr) world.add_bbr(sender);
  if (who == Who::kOurs || who == Who::kBackground) world.add_ours(options, sender);
}

struct Shares {
  double first = 0, second = 0;  // of the link
  Duration queue_p50{}, queue_p99{};
};
Shares run(const Link& link, Who first, Who second, Duration second_at, std::uint64_t seed) {
  RateWorld world(link.config(), seed);
  add(world, first, 0s);
  add(world, second, second_at);
  std::vector<Duration> queues;
  world.every(5ms, [&](Duration now) {
    if (now >= kFrom) queues.push_back(world.queue());
  });
  const bool two = second != Who::kNobody;
  world.run_until(kFrom);
  const std::uint64_t a = world.delivered_bytes(0), b = two ? world.delivered_bytes(1) : 0;
  world.run_until(kTo);
  const auto whole = static_cast<double>(link.rate().bytes_in(kTo - kFrom).value());
  std::sort(queues.begin(), queues.end());
  return {static_cast<double>(world.delivered_bytes(0) - a) / whole,
          two ? static_cast<double>(world.delivered_bytes(1) - b) / whole : 0,
          queues[queues.size() / 2], queues[queues.size() * 99 / 100]};
}

double ms(Duration span) {
  return static_cast<double>(span.count()) * 1e-6;
}

class Bench {
 public:
  Bench(bool json, std::string_view wanted) : json_(json), wanted_(wanted) {}

  void alone(const Link& link) {
    const std::string name = fmt::format("alone-{}-{}", link.megabits, link.queue_bdp);
    if (!name.starts_with(wanted_)) return;
    const Shares s = run(link, Who::kOurs, Who::kNobody, 0s, 1);
    say(name,
        {{"share", s.first}, {"queue_ms_p50", ms(s.queue_p50)}, {"queue_ms_p99", ms(s.queue_p99)}});
  }

  void beside(const Link& link, Who rival, std::string_view rival_name, bool background) {
    const std::string name = fmt::format("{}-{}-{}-{}", background ? "background" : "fair",
                                         rival_name, link.megabits, link.queue_bdp);
    if (!name.starts_with(wanted_)) return;
    const double reaches = run(link, rival, Who::kNobody, 0s, 1).first;
    const Who ours = background ? Who::kBackground : Who::kOurs;
    const Shares early = run(link, ours, rival, kLate, 1), late = run(link, rival, ours, kLate, 1);
    if (background)
      return say(name, {{"rival_alone", reaches},
                        {"taken_first", 1 - early.second / reaches},
                        {"taken_second", 1 - late.first / reaches},
                        {"ours_first", early.first},
                        {"ours_second", late.second}});
    const double fair = std::min(0.5, reaches);
    say(name, {{"rival_alone", reaches},
               {"ours_first", early.first / fair},
               {"ours_second", late.second / fair},
               {"rival_when_second", early.second / fair},
               {"rival_when_first", late.first / fair},
               {"queue_ms_p50", ms(late.queue_p50)}});
  }

  void two(const Link& link) {
    const std::string name = fmt::format("two-{}-{}", link.megabits, link.queue_bdp);
    if (!name.starts_with(wanted_)) return;
    const Shares s = run(link, Who::kOurs, Who::kOurs, kLate, 1);
    const double sum = s.first + s.second;
    say(name, {{"jain", sum * sum / (2 * (s.first * s.first + s.second * s.second))},
               {"first", s.first},
               {"second", s.second},
               {"queue_ms_p50", ms(s.queue_p50)},
               {"queue_ms_p99", ms(s.queue_p99)}});
  }

 private:
  struct Figure {
    std::string_view name;
    double value;
  };
  void say(std::string_view cell, const std::vector<Figure>& figures) const {
    fmt::print("{}", json_ ? fmt::format("{{\"bench\":\"fairness\",\"cell\":\"{}\"", cell)
                           : fmt::format("fairness {}:", cell));
    for (const Figure& f : figures)
      fmt::print(fmt::runtime(json_ ? ",\"{}\":{:.3f}" : " {} {:.3f}"), f.name, f.value);
    fmt::print("{}\n", json_ ? "}" : "");
    std::fflush(stdout);
  }
  bool json_;
  std::string_view wanted_;
};

}  // namespace

int main(int count, char** words) {
  bool json = false;
  std::string_view wanted;
  for (int i = 1; i < count; ++i) {
    if (std::string_view(words[i]) == "--json")
      json = true;
    else
      wanted = words[i];
  }
  Bench bench(json, wanted);
  for (const double megabits : {100.0, 500.0})
    for (const double queue : {0.5, 1.0, 4.0}) {
      const Link link{megabits, queue};
      bench.alone(link);
      bench.two(link);
      for (const bool background : {false, true}) {
        bench.beside(link, Who::kCubic, "cubic", background);
        bench.beside(link, Who::kBbr, "bbr", background);
      }
    }
}
