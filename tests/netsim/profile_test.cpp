#include "netsim/profile.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lib/base/rng.hpp"
#include "netsim/profile_table.hpp"
#include "tests/netsim/random_link.hpp"

namespace netsim {
namespace {

using longhaul::Kind;
using testing::Contains;
using testing::HasSubstr;

TEST(Profiles, AllBuiltInOnesReadAndCheck) {
  for (const BuiltIn& known : built_ins()) {
    const auto profile = profile_from_json(known.json);
    ASSERT_TRUE(profile) << known.name << ": " << profile.error().message();
    EXPECT_EQ(profile->name, known.name);
    EXPECT_FALSE(profile->about.empty());
    EXPECT_FALSE(profile->notes.empty()) << known.name << " says nowhere what was measured";
    EXPECT_TRUE(check(profile->link));
    EXPECT_EQ(*profile_from_json(to_json(*profile)), *profile);
  }
}

TEST(Profiles, AreTheOnesPromised) {
  for (const char* name : {"nyc-asuncion", "nyc-asuncion-good", "nyc-asuncion-bad", "nyc-saopaulo",
                           "nyc-saopaulo-backbone", "nyc-london", "nyc-frankfurt", "nyc-tokyo",
                           "nyc-singapore", "saopaulo-sydney", "montevideo-saopaulo", "lab-lan"})
    EXPECT_THAT(profile_names(), Contains(std::string_view(name)));
  int pantheon = 0;
  for (const std::string_view name : profile_names())
    pantheon += name.starts_with("pantheon-") ? 1 : 0;
  EXPECT_EQ(pantheon, 6);
}

TEST(Profiles, AsuncionIsWhatTheDocsSay) {
  const LinkConfig link = built_in_profile("nyc-asuncion")->link;
  EXPECT_EQ(*value_of(link, "rtt"), "158ms");
  EXPECT_EQ(*value_of(link, "up.rate"), "300mbit");
  EXPECT_EQ(*value_of(link, "down.rate"), "100mbit");
  EXPECT_EQ(link.up.queue.bytes_max, ByteCount(3'750'000));
  EXPECT_EQ(link.down.queue.bytes_max, ByteCount(1'250'000));
  EXPECT_EQ(link.events.size(), 3U);
}

TEST(Profiles, PantheonLossIsOnTheUplinkOnly) {
  const LinkConfig link = built_in_profile("pantheon-nepal-india")->link;
  EXPECT_EQ(link.up.loss, LossConfig(BernoulliLoss{0.0477}));
  EXPECT_EQ(link.down.loss, LossConfig(NoLoss{}));
  EXPECT_EQ(link.up.queue.packets_max, 14U);
  EXPECT_EQ(link.down.queue, QueueConfig{});
}

TEST(Profiles, AnUnknownNameSaysWhatComesNear) {
  const auto missing = built_in_profile("nyc-sidney");
  EXPECT_EQ(missing.error().kind(), Kind::kNotFound);
  EXPECT_THAT(missing.error().message(), HasSubstr("nyc-s"));
  EXPECT_THAT(built_in_profile("zzz").error().message(), HasSubstr("netsim profiles"));
}

TEST(Profiles, RandomOnesRoundTrip) {
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    longhaul::Rng rng(seed, "profiles");
    const Profile profile{"home.2", "from \"here\"", {{"source", "probe\n"}}, random_link(rng)};
    const auto back = profile_from_json(to_json(profile));
    ASSERT_TRUE(back) << "seed " << seed << ": " << back.error().message();
    ASSERT_EQ(*back, profile) << "seed " << seed;
  }
}

TEST(Profiles, RefusesFilesThatAreNone) {
  for (const char* json :
       {"", "{}", "[]", R"({"netsim_profile":2,"name":"a","link":{}})",
        R"({"netsim_profile":1,"name":"a"})", R"({"netsim_profile":1,"name":"a b","link":{}})",
        R"({"netsim_profile":1,"name":"a","link":{},"extra":"x"})",
        R"({"netsim_profile":1,"name":"a","link":[]})",
        R"({"netsim_profile":1,"name":"a","link":{"rtt":"1s","rtt":"2s"}})",
        R"({"netsim_profile":1,"name":"a","link":{"rate":"0mbit"}})",
        R"({"netsim_profile":1,"name":"a","link":{},"notes":{"x":1}})"})
    EXPECT_FALSE(profile_from_json(json)) << json;
}

TEST(Profiles, AFileIsToldFromAName) {
  EXPECT_TRUE(is_profile_file("./home"));
  EXPECT_TRUE(is_profile_file("home.json"));
  EXPECT_FALSE(is_profile_file("nyc-asuncion"));
}

TEST(Profiles, AreShownAsATableAndInFull) {
  EXPECT_THAT(profile_table(), HasSubstr("nyc-asuncion-bad"));
  EXPECT_THAT(profile_list_json(), HasSubstr(R"("name":"lab-lan")"));
  const std::string text = describe(*built_in_profile("nyc-asuncion"));
  EXPECT_THAT(text, HasSubstr("300mbit / 100mbit"));
  EXPECT_THAT(text, HasSubstr("at 50min every 1h outage 2s"));
}

}  // namespace
}  // namespace netsim
