#include "lib/datagram/pacer.hpp"

#include <gtest/gtest.h>

namespace longhaul::datagram {
namespace {

constexpr Time at(Duration since) {
  return Time{} + since;
}

TEST(Pacer, SpacesPacketsByTheRate) {
  Pacer pacer(at(0ms), 1500);
  pacer.set_rate(at(0ms), BytesPerSecond(1'500'000));
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(pacer.next(), at(i * 1ms));
    pacer.on_sent(pacer.next(), 1500);
  }
}

TEST(Pacer, CatchesUpAtMostTwoMilliseconds) {
  Pacer pacer(at(0ms), 1500);
  pacer.set_rate(at(0ms), BytesPerSecond(15'000'000));  // 10 packets a millisecond
  int sent = 0;
  for (const Time now = at(1s); pacer.next() <= now; ++sent) pacer.on_sent(now, 1500);
  EXPECT_EQ(sent, 21);
}

TEST(Pacer, BatchIsOneMillisecondOrTwoPackets) {
  Pacer pacer(at(0ms), 1500);
  pacer.set_rate(at(0ms), BytesPerSecond(15'000'000));
  EXPECT_EQ(pacer.burst(at(0ms)), ByteCount(15'000));
  pacer.on_sent(at(0ms), 1500);
  EXPECT_EQ(pacer.burst(at(0ms)), ByteCount(0));
  pacer.set_rate(at(0ms), BytesPerSecond(100'000));
  EXPECT_EQ(pacer.burst(at(1s)), ByteCount(3000));
}

TEST(Pacer, WaitIsRetimedWhenTheRateChanges) {
  Pacer pacer(at(0ms), 1500);
  pacer.set_rate(at(0ms), BytesPerSecond(15'000));
  pacer.on_sent(at(0ms), 1500);
  EXPECT_EQ(pacer.next(), at(100ms));
  pacer.set_rate(at(50ms), BytesPerSecond(150'000));
  EXPECT_EQ(pacer.next(), at(55ms));
}

}  // namespace
}  // namespace longhaul::datagram
