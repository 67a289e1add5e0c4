#include "lib/auth/admission.hpp"

#include <gtest/gtest.h>

namespace longhaul::auth {
namespace {

constexpr Time kStart{};

TEST(Admission, ADeadlineRunsFromAcceptAndNothingMovesIt) {
  Admission admission;
  admission.on_accept(kStart, ConnectionId(1), "a");
  admission.on_stage(kStart + 9s, ConnectionId(1));
  EXPECT_TRUE(admission.on_deadline(kStart + 9s).empty());
  EXPECT_EQ(admission.on_deadline(kStart + 10s), std::vector{ConnectionId(1)});
  EXPECT_FALSE(admission.next_deadline().has_value());
}

TEST(Admission, BoundsTheBytesOfAStranger) {
  Admission admission;
  admission.on_accept(kStart, ConnectionId(1), "a");
  EXPECT_EQ(admission.on_bytes(ConnectionId(1), 64U << 10), Admission::Verdict::kGoOn);
  EXPECT_EQ(admission.on_bytes(ConnectionId(1), 1), Admission::Verdict::kClose);
}

TEST(Admission, OneSourceGetsSixteenUntilItIsKnown) {
  Admission admission;
  for (std::uint64_t i = 0; i < 16; ++i)
    EXPECT_TRUE(admission.on_accept(kStart, ConnectionId(i), "a").empty());
  EXPECT_EQ(admission.on_accept(kStart, ConnectionId(16), "a"), std::vector{ConnectionId(16)});
  EXPECT_TRUE(admission.on_accept(kStart, ConnectionId(17), "b").empty());
  admission.on_known(kStart, ConnectionId(0));
  for (std::uint64_t i = 20; i < 40; ++i)
    EXPECT_TRUE(admission.on_accept(kStart, ConnectionId(i), "a").empty());
  admission.check();
}

// Both come back at once after the streamer was started anew: it knows neither.
TEST(Admission, TwoLaptopsBehindOneAddressBothGetIn) {
  Admission admission;
  std::vector<ConnectionId> turned_away;
  for (std::uint64_t i = 0; i < 32; ++i)
    for (const ConnectionId id : admission.on_accept(kStart, ConnectionId(i), "nat"))
      turned_away.push_back(id);
  EXPECT_EQ(turned_away.size(), 16U);
  EXPECT_EQ(turned_away.front(), ConnectionId(16));  // the second laptop's; it dials again
  admission.on_known(kStart + 1s, ConnectionId(0));
  for (std::uint64_t i = 32; i < 48; ++i)
    EXPECT_TRUE(admission.on_accept(kStart + 2s, ConnectionId(i), "nat").empty());
  admission.check();
}

TEST(Admission, AFullTableEvictsWhoIsLongestInItsStage) {
  AdmissionLimits limits;
  limits.connections_max = 2;
  Admission admission(limits);
  admission.on_accept(kStart, ConnectionId(1), "a");
  admission.on_accept(kStart + 1ms, ConnectionId(2), "b");
  admission.on_stage(kStart + 2ms, ConnectionId(1));  // the older one got on
  EXPECT_EQ(admission.on_accept(kStart + 3ms, ConnectionId(3), "c"), std::vector{ConnectionId(2)});
  admission.check();
}

// 10,000 slow connections from many sources: memory stays bounded and an honest peer still gets in.
TEST(Admission, SlowDripsDoNotKeepTheHonestOut) {
  Admission admission;
  Time now = kStart;
  for (std::uint64_t i = 0; i < 10'000; ++i) {
    now += 100us;
    admission.on_accept(now, ConnectionId(i), std::to_string(i % 2000));
    admission.on_bytes(ConnectionId(i), 100);
    admission.check();
  }
  EXPECT_LE(admission.size(), 1024U);
  EXPECT_LE(admission.bytes(), 64U << 20);
  const auto closed = admission.on_accept(now, ConnectionId(99'999), "honest");
  EXPECT_EQ(closed.size(), 1U);
  EXPECT_NE(closed.front(), ConnectionId(99'999));
}

TEST(Admission, CountsAnIpv6NetworkAsOneSource) {
  EXPECT_EQ(source_of("192.0.2.7"), "192.0.2.7");
  EXPECT_EQ(source_of("::ffff:192.0.2.7"), "::ffff:192.0.2.7");
  EXPECT_EQ(source_of("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2:");
  EXPECT_EQ(source_of("2001:db8:1:2::9"), "2001:db8:1:2:");
  EXPECT_EQ(source_of("2001:db8::9"), "2001:db8:0:0:");
  EXPECT_EQ(source_of("::1"), "0:0:0:0:");
  EXPECT_EQ(source_of("2001:db8:1::"), "2001:db8:1:0:");
  Admission admission;
  std::size_t refused = 0;
  for (unsigned i = 0; i < 100; ++i)
    refused +=
        admission.on_accept(Time{}, ConnectionId{i + 1}, "2001:db8:1:2::" + std::to_string(i))
            .size();
  EXPECT_EQ(refused, 84U);
  admission.check();
}

TEST(Admission, WithoutDescriptorsTheSlowestMakesRoom) {
  Admission admission;
  EXPECT_EQ(admission.evict(), std::nullopt);
  for (unsigned i = 1; i <= 3; ++i)
    EXPECT_TRUE(admission.on_accept(Time{} + i * 1s, ConnectionId{i}, "192.0.2.7").empty());
  admission.on_stage(Time{} + 9s, ConnectionId{1});
  EXPECT_EQ(admission.evict(), ConnectionId{2});
  EXPECT_EQ(admission.size(), 2U);
  admission.check();
}

}  // namespace
}  // namespace longhaul::auth
