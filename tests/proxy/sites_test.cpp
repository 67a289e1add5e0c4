#include "proxy/sites.hpp"

#include <gtest/gtest.h>

#include "lib/store/version.hpp"

namespace longhaul::proxy {
namespace {

Site asuncion() {
  return {"asuncion", {"gpu.example.org", 7700}, std::string(64, 'a'), "owner", ""};
}

TEST(Sites, GoThroughTheirFile) {
  Sites sites;
  ASSERT_TRUE(sites.add(asuncion()));
  Site lab = asuncion();
  lab.name = "lab";
  lab.tunnel = "me@login.example.org";
  lab.root = "longhaul";
  ASSERT_TRUE(sites.add(lab));
  const auto back = Sites::parse(sites.text());
  ASSERT_TRUE(back.has_value());
  EXPECT_EQ(back->all(), sites.all());
}

TEST(Sites, AnUnknownNameListsTheKnownOnes) {
  Sites sites;
  ASSERT_TRUE(sites.add(asuncion()));
  const Error error = sites.find("asunción").error();
  EXPECT_EQ(error.kind(), Kind::kNotFound);
  EXPECT_EQ(error.why(), "known are: asuncion");
  EXPECT_EQ(sites.find("lab").error().advice(),
            "pair with it: `longhaul-streamer invite` there, then `longhaul join lab` here");
  EXPECT_EQ(Sites().find("x").error().why(), "no site is known yet");
}

TEST(Sites, ANameNeverMovesToAnotherKey) {
  Sites sites;
  ASSERT_TRUE(sites.add(asuncion()));
  Site other = asuncion();
  other.pin = std::string(64, 'b');
  const auto refused = sites.add(other);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().message(),
            "add the site 'asuncion': that name belongs to a node with another key");
  EXPECT_EQ(refused.error().advice(),
            "choose another name, or `longhaul sites --forget asuncion` first");
  Site moved = asuncion();
  moved.address.port = 7701;
  EXPECT_TRUE(sites.add(moved));
  EXPECT_EQ(sites.find("asuncion")->address.port, 7701);
}

TEST(Sites, RefuseAFileWithABrokenPin) {
  EXPECT_EQ(Sites::parse("[a]\naddress = 'h:1'\npin = 'xyz'\n").error().kind(), Kind::kMalformed);
}

TEST(Place, ReadsSiteDatasetVersion) {
  EXPECT_EQ(*parse_place("asu"), (Place{"asu", "", ""}));
  EXPECT_EQ(*parse_place("asu:corpus"), (Place{"asu", "corpus", ""}));
  EXPECT_EQ(*parse_place("asu:corpus@v000003"), (Place{"asu", "corpus", "v000003"}));
}

TEST(Place, ADatasetsNameMayBeAsLongAsTheSiteTakes) {
  const std::string most(200, 'd');
  EXPECT_EQ(parse_place("asu:" + most)->dataset, most);
  EXPECT_TRUE(store::DatasetName::parse(most));
  const auto refused = parse_place("asu:" + most + "d");
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message().find("longer than 200 characters"), std::string::npos);
  EXPECT_FALSE(store::DatasetName::parse(most + "d"));
  EXPECT_FALSE(parse_place(std::string(65, 's') + ":d"));
}

TEST(Place, RefusesNamesThatCouldEscapeOrFool) {
  for (const char* text : {"", ":x", "a:", "a:..", "a:../x", "a:b/c", "a:b\n", "-a", ".a", "a:b@",
                           "a:b@../x", "a:\x1b[2J"}) {
    EXPECT_EQ(parse_place(text).error().kind(), Kind::kUsage) << text;
  }
  EXPECT_EQ(parse_place("a:b\nc").error().attempt().find('\n'), std::string::npos);
  EXPECT_EQ(parse_place("a:").error().why(), "it is empty");
  EXPECT_EQ(parse_place("a:.x").error().why(), "it starts with '.' or '-'");
  EXPECT_EQ(parse_place("a:b/c").error().why(), "it has a character that no name may have");
  EXPECT_EQ(parse_place("a:b/c").error().advice(),
            "use letters, digits, '.', '_' and '-', at most 200, starting with a letter or digit");
}

}  // namespace
}  // namespace longhaul::proxy
