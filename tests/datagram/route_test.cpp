#include "lib/datagram/route.hpp"

#include <gtest/gtest.h>

namespace longhaul::datagram {
namespace {

Address at(std::uint8_t host, std::uint16_t port) {
  Address address;
  address.ip[15] = std::byte{host};
  address.port = port;
  return address;
}
const crypto::Digest kSecret = crypto::sha256("secret");
const Address kOld = at(1, 1000), kNew = at(2, 1000), kThird = at(3, 1000);

Route settled() {
  return Route(kSecret, kOld);
}

// U4: who is not proven to be there gets at most three times what came from there.
TEST(Route, U4AnAddressThatIsNotProvenGetsThreeTimesWhatCameFromIt) {
  Route route(kSecret, std::nullopt);
  EXPECT_EQ(route.room(), 0U);
  route.on_packet(Time{}, kNew, 100, true);
  EXPECT_FALSE(route.validated());
  EXPECT_EQ(route.room(), 300U);
  route.on_sent(kNew, 250);
  EXPECT_EQ(route.room(), 50U);
  route.on_sent(kNew, 60);
  EXPECT_EQ(route.room(), 0U);
  route.on_packet(Time{}, kNew, 100, true);
  EXPECT_EQ(route.room(), 290U);
}

TEST(Route, TheAnswerToAChallengeProvesAnAddress) {
  Route route(kSecret, std::nullopt);
  route.on_packet(Time{}, kNew, 100, true);
  const auto challenge = route.take_challenge(Time{});
  ASSERT_TRUE(challenge.has_value());
  EXPECT_EQ(challenge->to, kNew);
  Token wrong = challenge->token;
  wrong[0] ^= std::byte{1};
  route.on_response(wrong, kNew);
  EXPECT_FALSE(route.validated());
  route.on_response(challenge->token, kNew);
  EXPECT_TRUE(route.validated());
  EXPECT_GT(route.room(), std::uint64_t{1} << 40);
}

TEST(Route, AReplayFromElsewhereChangesNothing) {
  Route route = settled();
  EXPECT_EQ(route.on_packet(Time{}, kNew, 1000, false), Route::Change::kNone);
  EXPECT_EQ(route.current(), kOld);
  EXPECT_TRUE(route.validated());
  EXPECT_FALSE(route.take_challenge(Time{}).has_value());
}

// The newest packet, caught and sent on first by somebody else: the old address takes it back.
TEST(Route, ARaceFromElsewhereIsUndoneByTheNextPacket) {
  Route route = settled();
  EXPECT_EQ(route.on_packet(Time{}, kNew, 1000, true), Route::Change::kHost);
  EXPECT_FALSE(route.validated());
  EXPECT_EQ(route.on_packet(Time{}, kThird, 1000, true), Route::Change::kNone) << "one at a time";
  EXPECT_EQ(route.current(), kNew);
  EXPECT_EQ(route.on_packet(Time{}, kOld, 1000, true), Route::Change::kHost);
  EXPECT_EQ(route.current(), kOld);
  EXPECT_TRUE(route.validated());
}

TEST(Route, OldAndNewAreBothChallengedFourTimesASecond) {
  Route route = settled();
  route.on_packet(Time{}, kNew, 1000, true);
  std::size_t to_old = 0, to_new = 0;
  for (Time now{}; now < Time{} + 1s; now += 1ms) {
    while (const auto challenge = route.take_challenge(now))
      ++(challenge->to == kOld ? to_old : to_new);
  }
  EXPECT_EQ(to_old, 4U);
  EXPECT_EQ(to_new, 4U);
}

TEST(Route, WhereNobodyAnswersTheOldAddressStands) {
  Route route = settled();
  route.on_packet(Time{}, kNew, 1000, true);
  for (Time now{}; now < Time{} + 10s; now += 10ms) {
    while (route.take_challenge(now)) {
    }
  }
  EXPECT_EQ(route.current(), kOld);
  EXPECT_TRUE(route.validated());
  EXPECT_FALSE(route.challenge_at().has_value());
}

TEST(Route, APortIsNoOtherHost) {
  Route route = settled();
  EXPECT_EQ(route.on_packet(Time{}, at(1, 2000), 1000, true), Route::Change::kPort);
}

}  // namespace
}  // namespace longhaul::datagram
