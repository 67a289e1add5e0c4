#include "netsim/bbr.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>

namespace netsim {
namespace {

using namespace longhaul;
using namespace std::chrono_literals;

constexpr std::uint64_t kPacket = 1500, kLink = 1'250'000;  // bytes a second: 10 Mbit/s
constexpr Duration kRtt = 100ms;

// One sender behind a queue without end; each packet is acknowledged a round trip after it left it.
struct Pipe {
  struct Flying {
    Time acked;
    Bbr::Mark mark;
  };
  Bbr bbr{kPacket};
  std::deque<Flying> flying;
  Time now{}, next{}, free{};
  Duration queue_most{};
  std::uint64_t acked_bytes = 0;

  void run_until(Time end) {
    queue_most = {};
    for (; now < end; now += 100us) {
      while (!flying.empty() && flying.front().acked <= now) {
        const Flying one = flying.front();
        flying.pop_front();
        acked_bytes += kPacket;
        bbr.on_ack(now, one.mark, kPacket, one.acked - one.mark.sent, flying.size() * kPacket);
      }
      while (next <= now && (flying.size() + 1) * kPacket <= bbr.window_bytes()) {
        const Bbr::Mark mark = bbr.on_sent(now, flying.size() * kPacket);
        free = std::max(free, now) + BytesPerSecond(kLink).time_for(ByteCount(kPacket));
        queue_most = std::max<Duration>(queue_most, free - now);
        flying.push_back({free + kRtt, mark});
        next = std::max<Time>(next, now - 1ms) + bbr.pacing().time_for(ByteCount(kPacket));
      }
    }
  }
};

TEST(Bbr, FillsThePipeBehindAQueueThatItDrains) {
  Pipe pipe;
  pipe.run_until(Time{} + 3s);
  EXPECT_EQ(pipe.bbr.phase(), Bbr::Phase::kProbeRate);
  const std::uint64_t before = pipe.acked_bytes;
  pipe.run_until(Time{} + 9s);
  EXPECT_GE(pipe.acked_bytes - before, kLink * 6 * 95 / 100);
  EXPECT_LE(pipe.queue_most, 40ms);  // a quarter of a round trip in each cycle
}

TEST(Bbr, StopsForAMomentEveryTenSeconds) {
  Pipe pipe;
  pipe.run_until(Time{} + 3s);
  bool stopped = false;
  for (Duration at = 3s; at < 15s; at += 50ms) {
    pipe.run_until(Time{} + at);
    if (pipe.bbr.phase() != Bbr::Phase::kProbeRtt) continue;
    stopped = true;
    EXPECT_EQ(pipe.bbr.window_bytes(), 4 * kPacket);
  }
  EXPECT_TRUE(stopped);
  EXPECT_EQ(pipe.bbr.phase(), Bbr::Phase::kProbeRate);
}

}  // namespace
}  // namespace netsim
