#include "lib/auth/invite.hpp"

#include <gtest/gtest.h>

namespace longhaul::auth {
namespace {

const std::string kPin(64, 'a');
const std::string kSecret(32, 'b');

TEST(Invite, LineGoesThereAndBack) {
  const std::string line = "gpu.example.org:7700#" + kPin + "#" + kSecret;
  const auto invite = parse_invite("  " + line + "\r\n");
  ASSERT_TRUE(invite.has_value());
  EXPECT_EQ(invite->address, "gpu.example.org:7700");
  EXPECT_EQ(to_text(*invite), line);
}

TEST(Invite, RefusesAnyOtherShapeWithoutQuotingTheSecret) {
  for (const std::string& line :
       {std::string(), std::string("x"), "h:1#" + kPin, "h:1#" + kPin + "#" + kSecret + "00",
        "h:1#" + kPin + "#" + kSecret + "#", "#" + kPin + "#" + kSecret, "h:1#zz#" + kSecret,
        std::string(400, 'h') + "#" + kPin + "#" + kSecret}) {
    const auto invite = parse_invite(line);
    ASSERT_FALSE(invite.has_value()) << line;
    EXPECT_EQ(invite.error().kind(), Kind::kUsage);
    EXPECT_EQ(invite.error().attempt(), "read the invite");
    EXPECT_EQ(invite.error().message().find(kSecret), std::string::npos);
  }
}

TEST(Invite, SaysWhatToPaste) {
  const Error none = parse_invite("").error();
  EXPECT_EQ(none.message(), "read the invite: there is none on stdin");
  EXPECT_EQ(parse_invite("h:1#" + kPin).error().why(), "it is not HOST:PORT#KEY#SECRET");
  EXPECT_EQ(parse_invite("#" + kPin + "#" + kSecret).error().why(),
            "its address is empty or too long");
  EXPECT_EQ(none.advice(), "paste the whole line that `longhaul-streamer invite` printed");
}

OpenInvite open_until(std::int64_t seconds, unsigned char mark) {
  OpenInvite invite;
  invite.secret[0] = std::byte{mark};
  invite.role = Role::kOwner;
  invite.expires = {seconds * 1'000'000'000};
  return invite;
}
constexpr WallTime kNow{1'000'000'000'000};

TEST(Invites, ExpireAndAreSpentOnce) {
  Invites invites;
  ASSERT_TRUE(invites.add(open_until(1600, 1), kNow));
  ASSERT_TRUE(invites.add(open_until(1001, 2), kNow));
  EXPECT_EQ(invites.open(kNow).size(), 2U);
  EXPECT_EQ(invites.open({1'001'000'000'000}).size(), 1U);
  invites.spend(open_until(1600, 1).secret, kNow);
  invites.spend(open_until(1600, 1).secret, kNow);
  EXPECT_EQ(invites.open(kNow).size(), 1U);
}

TEST(Invites, AClockSetBackDoesNotMakeThemLiveLonger) {
  Invites invites;
  ASSERT_TRUE(invites.add(open_until(1600, 1), kNow));
  EXPECT_TRUE(invites.open({1}).empty());
}

TEST(Invites, GoThroughTheirFileAndRefuseABrokenOne) {
  Invites invites;
  ASSERT_TRUE(invites.add(open_until(1600, 1), kNow));
  EXPECT_EQ(Invites::parse(invites.text())->open(kNow), invites.open(kNow));
  EXPECT_FALSE(Invites::parse(invites.text() + "x").has_value());
  EXPECT_EQ(Invites::parse("00 owner 5\n").error().message(),
            "read the open invites: a line is broken");
}

TEST(Invites, AreBoundedInNumber) {
  Invites invites;
  for (unsigned i = 0; i < kInvitesMax; ++i)
    ASSERT_TRUE(invites.add(open_until(1600, static_cast<unsigned char>(i)), kNow));
  const Error full = invites.add(open_until(1600, 99), kNow).error();
  EXPECT_EQ(full.message(), "make an invite: " + std::to_string(kInvitesMax) + " are open");
  EXPECT_EQ(full.advice(), "wait until some of them expire; each lives ten minutes");
  EXPECT_TRUE(invites.add(open_until(3600, 99), {1'700'000'000'000}));  // the others have expired
}

}  // namespace
}  // namespace longhaul::auth
