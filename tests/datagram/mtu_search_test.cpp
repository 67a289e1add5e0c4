#include "lib/datagram/mtu_search.hpp"

#include <gtest/gtest.h>

namespace longhaul::datagram {
namespace {

// Probes of a path that carries payloads of at most `most` bytes; how many were sent.
int search(MtuSearch& mtu, Time now, std::uint32_t most, bool icmp = false) {
  int probes = 0;
  while (const auto size = mtu.wanted(now)) {
    EXPECT_LT(++probes, 100);
    mtu.on_probe_sent(now);
    EXPECT_FALSE(mtu.wanted(now).has_value()) << "one at a time";
    if (*size <= most) {
      mtu.on_probe_acked(*size);
    } else {
      if (icmp) mtu.on_too_big(*size);
      mtu.on_probe_lost(now, *size);
    }
  }
  return probes;
}

TEST(MtuSearch, FindsWhatThePathCarries) {
  for (const std::uint32_t most : kMtuSizes) {
    MtuSearch mtu;
    EXPECT_EQ(mtu.size(), kMtuBase);
    search(mtu, Time{}, most + 3);
    EXPECT_EQ(mtu.size(), most);
  }
}

TEST(MtuSearch, StaysAtTheBaseWhereNothingLargerPasses) {
  MtuSearch mtu;
  EXPECT_EQ(search(mtu, Time{}, 1220), 3 * static_cast<int>(kMtuSizes.size()));
  EXPECT_EQ(mtu.size(), kMtuBase);
  EXPECT_EQ(search(mtu, Time{} + 1min, 1220), 0);
  EXPECT_GT(search(mtu, Time{} + 11min, 1500), 0) << "the path may have changed";
  EXPECT_EQ(mtu.size(), kMtuSizes[0]);
}

TEST(MtuSearch, TheKernelsWordSavesTwoProbesOfThree) {
  MtuSearch mtu;
  EXPECT_EQ(search(mtu, Time{}, 1220, true), static_cast<int>(kMtuSizes.size()));
}

TEST(MtuSearch, OneLostProbeIsNoProof) {
  MtuSearch mtu;
  mtu.on_probe_sent(Time{});
  mtu.on_probe_lost(Time{}, kMtuSizes[0]);
  EXPECT_EQ(mtu.wanted(Time{}), kMtuSizes[0]);
}

TEST(MtuSearch, FallsBackWhenOnlyFullPacketsVanish) {
  MtuSearch mtu;
  search(mtu, Time{}, 1500);
  for (int i = 0; i < 11; ++i) mtu.on_full_lost(Time{});
  mtu.on_full_acked();
  for (int i = 0; i < 11; ++i) mtu.on_full_lost(Time{});
  EXPECT_EQ(mtu.size(), kMtuSizes[0]) << "a burst, and then one that arrived";
  mtu.on_full_lost(Time{});
  EXPECT_EQ(mtu.size(), kMtuBase);
  search(mtu, Time{}, 1400);
  EXPECT_EQ(mtu.size(), 1372U);
}

}  // namespace
}  // namespace longhaul::datagram
