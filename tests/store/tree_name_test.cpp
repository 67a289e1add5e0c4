#include "lib/store/tree_name.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace longhaul::store {
namespace {

Kind refusal(std::string_view raw) {
  auto name = TreeName::parse(raw);
  EXPECT_FALSE(name.has_value()) << raw;
  return name ? Kind::kInterrupted : name.error().kind();
}

TEST(TreeName, RefusesWhatLeadsElsewhere) {
  for (const char* raw : {"", "/", "/etc/passwd", "..", ".", "a/..", "a/../b", "../a", "a/./b",
                          "./a", "a//b", "a/", "//a"})
    EXPECT_EQ(refusal(raw), Kind::kMalformed) << raw;
  EXPECT_EQ(refusal(std::string_view("a\0b", 3)), Kind::kMalformed);
  EXPECT_EQ(refusal(std::string_view("\0", 1)), Kind::kMalformed);
}

TEST(TreeName, KeepsItsLimitsToTheByte) {
  EXPECT_TRUE(TreeName::parse(std::string(255, 'x')));
  EXPECT_EQ(refusal(std::string(256, 'x')), Kind::kLimit);
  std::string longest;
  while (longest.size() + 255 < kTreeNameBytesMax) longest += std::string(254, 'y') + '/';
  longest += std::string(kTreeNameBytesMax - longest.size(), 'z');
  EXPECT_TRUE(TreeName::parse(longest)) << longest.size();
  EXPECT_EQ(refusal(longest + 'z'), Kind::kLimit);
  EXPECT_EQ(refusal(std::string(4097, 'x')), Kind::kLimit);
}

TEST(TreeName, RefusesTenThousandFolders) {
  std::string deep = "a";
  for (std::size_t i = 1; i < kTreeDepthMax; ++i) deep += "/a";
  EXPECT_TRUE(TreeName::parse(deep));
  EXPECT_EQ(refusal(deep + "/a"), Kind::kLimit);
  for (int i = 0; i < 10'000; ++i) deep += "/a";
  EXPECT_EQ(refusal(deep), Kind::kLimit);
}

TEST(TreeName, StoresEveryOtherByteAndShowsItEscaped) {
  for (int byte = 1; byte < 256; ++byte) {
    if (byte == '/') continue;
    const std::string raw = std::string("n") + static_cast<char>(byte);
    auto name = TreeName::parse(raw);
    ASSERT_TRUE(name) << byte;
    EXPECT_EQ(name->text(), raw);
    for (char c : name->shown()) EXPECT_TRUE(c < 0 || c >= ' ') << byte;
  }
  for (const char* raw : {"CON", "NUL.txt", "trailing.", "trailing ", "Case", "case", "e\xcc\x81",
                          "\xc3\xa9", "\x1b[31mred", "new\nline"})
    EXPECT_EQ(TreeName::parse(raw)->text(), raw);
  EXPECT_EQ(TreeName::parse("\x1b[31m")->shown().find('\x1b'), std::string::npos);
}

TEST(TreeName, SortsInWalkOrder) {
  std::vector<TreeName> names;
  for (const char* raw : {"a.b", "a/c", "a", "b", "a/b/c", "a-b", "a/b", "\xff", "a/b.c"})
    names.push_back(TreeName::known(raw));
  std::sort(names.begin(), names.end());
  std::vector<std::string> order;
  for (const TreeName& name : names) order.push_back(name.text());
  EXPECT_EQ(order, (std::vector<std::string>{"a", "a/b", "a/b/c", "a/b.c", "a/c", "a-b", "a.b", "b",
                                             "\xff"}));
}

TEST(TreeName, KnowsParentLastAndWithin) {
  const TreeName name = TreeName::known("a/b/c");
  EXPECT_EQ(name.parent().text(), "a/b");
  EXPECT_EQ(name.last(), "c");
  EXPECT_EQ(name.depth(), 3U);
  EXPECT_TRUE(name.is_within(TreeName::known("a/b")));
  EXPECT_TRUE(name.is_within(TreeName()));
  EXPECT_FALSE(TreeName::known("a/bc").is_within(TreeName::known("a/b")));
  EXPECT_EQ(name.under(TreeName::known("x")).text(), "x/a/b/c");
  EXPECT_EQ(name.child("..").error().kind(), Kind::kMalformed);
  EXPECT_EQ(name.child("a/b").error().kind(), Kind::kMalformed);
}

TEST(LinkTarget, MayOnlyPointIntoTheTree) {
  const TreeName deep = TreeName::known("a/b/link");
  for (const char* good : {"c", "c/d", "../c", "../../c", "../..", "./c", "..//c", "c/./d"})
    EXPECT_TRUE(judge_link_target(good, deep)) << good;
  for (const char* bad :
       {"", "/etc/passwd", "../../../c", "c/../d", "c/..", "../../../..", "../c/../../.."})
    EXPECT_FALSE(judge_link_target(bad, deep)) << bad;
  EXPECT_FALSE(judge_link_target("..", TreeName::known("link")));
  EXPECT_FALSE(judge_link_target(std::string_view("a\0b", 3), deep));
  EXPECT_FALSE(judge_link_target(std::string(kLinkTargetBytesMax + 1, 'x'), deep));
  EXPECT_FALSE(judge_link_target(std::string(256, 'x'), deep));
}

}  // namespace
}  // namespace longhaul::store
