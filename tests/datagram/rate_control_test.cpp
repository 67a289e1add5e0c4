#include "lib/datagram/rate_control.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace longhaul::datagram {
namespace {

constexpr Time at(Duration since) {
  return Time{} + since;
}
RateOptions options() {
  RateOptions options;
  options.handshake_rtt = 100ms;
  return options;
}

// And a pulse of 16, for the same number at four times the rate in between.
TEST(RateControl, FirstFlightIs128PacketsOverOneRoundTrip) {
  RateControl rate(at(0ms), options());
  int sent = 0;
  for (Duration now{}; now < 100ms; now += 1ms)
    for (ByteCount room = rate.burst(at(now)); room.value() >= 1452 && sent < 1000;) {
      rate.on_sent(at(now), static_cast<std::uint64_t>(sent++), 1452, false);
      room -= ByteCount(1452);
    }
  EXPECT_NEAR(sent, 128 + 16, 6);
}

TEST(RateControl, CountsWhatIsInFlight) {
  RateControl rate(at(0ms), options());
  std::vector<SentPacket> sent;
  for (std::uint64_t i = 0; i < 4; ++i) sent.push_back(rate.on_sent(at(0ms), i, 1000, false));
  EXPECT_EQ(rate.in_flight(), ByteCount(4000));
  const AckedPacket acked{sent[0], 5s, false};
  rate.on_acked(at(100ms), {&acked, 1}, 0ms);
  rate.on_lost(at(100ms), {&sent[1], 1});
  rate.on_forgotten({&sent[2], 1});
  EXPECT_EQ(rate.in_flight(), ByteCount(1000));
  const AckedPacket late{sent[1], 5s + 1ms, true};
  rate.on_acked(at(101ms), {&late, 1}, 0ms);
  EXPECT_EQ(rate.in_flight(), ByteCount(1000));
}

TEST(RateControl, SilenceIsAnOutageAndAnAckEndsIt) {
  RateControl rate(at(0ms), options());
  const BytesPerSecond first = rate.rate();
  const AckedPacket before{rate.on_sent(at(0ms), 0, 1000, true), 100ms, false};
  rate.on_acked(at(180ms), {&before, 1}, 0ms);
  const SentPacket sent = rate.on_sent(at(200ms), 1, 1000, true);
  ASSERT_TRUE(rate.next_deadline());
  rate.on_deadline(*rate.next_deadline());
  EXPECT_EQ(rate.state().phase, RatePhase::kOutage);
  const AckedPacket acked{sent, 1s, false};
  rate.on_acked(at(9s), {&acked, 1}, 0ms);
  // Nothing was measured before: it begins as it did.
  EXPECT_EQ(rate.state().phase, RatePhase::kStart);
  EXPECT_GE(rate.rate(), BytesPerSecond(first.value() / 4));
}

}  // namespace
}  // namespace longhaul::datagram
