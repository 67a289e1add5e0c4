#include "lib/store/ignore.hpp"

#include <gtest/gtest.h>

namespace longhaul::store {
namespace {

bool glob(std::string_view pattern, std::string_view text) {
  return Glob(pattern).matches(text);
}

bool excluded(const IgnoreRules& rules, const char* name, bool is_folder = false) {
  return rules.judge(TreeName::known(name), is_folder) == IgnoreRules::Verdict::kExcluded;
}

TEST(Glob, MatchesAsGitDoes) {
  EXPECT_TRUE(glob("*.o", "a.o"));
  EXPECT_FALSE(glob("*.o", "a.oo"));
  EXPECT_FALSE(glob("*.o", "a/b.o"));
  EXPECT_TRUE(glob("a/*/c", "a/b/c"));
  EXPECT_FALSE(glob("a/*/c", "a/b/b/c"));
  EXPECT_TRUE(glob("**/c", "c"));
  EXPECT_TRUE(glob("**/c", "a/b/c"));
  EXPECT_FALSE(glob("**/c", "a/bc"));
  EXPECT_TRUE(glob("a/**/c", "a/c"));
  EXPECT_TRUE(glob("a/**/c", "a/x/y/c"));
  EXPECT_TRUE(glob("a/**", "a/x/y"));
  EXPECT_FALSE(glob("a/**", "a"));
  EXPECT_TRUE(glob("?[a-c][!x]", "zbz"));
  EXPECT_FALSE(glob("?[a-c][!x]", "zbx"));
  EXPECT_FALSE(glob("?", "/"));
  EXPECT_TRUE(glob("\\*", "*"));
  EXPECT_FALSE(glob("\\*", "x"));
  EXPECT_TRUE(glob("[", "["));
  EXPECT_TRUE(glob("[]]", "]"));
  EXPECT_TRUE(glob("[\xc0-\xff]", "\xe0"));
  EXPECT_TRUE(glob("", ""));
  EXPECT_FALSE(glob("", "x"));
}

TEST(Glob, HasNoPatternThatTakesForEver) {
  std::string pattern, text(3000, 'a');
  while (pattern.size() < kPatternBytesMax) pattern += "*a**";
  pattern += "b";
  EXPECT_FALSE(glob(pattern, text));
}

TEST(IgnoreRules, LastMatchDecides) {
  IgnoreRules rules;
  ASSERT_TRUE(rules.add("# comment\n\n*.log\n!keep.log\n/top\nbuild/\na/b.txt\n"));
  EXPECT_TRUE(excluded(rules, "x/y.log"));
  EXPECT_FALSE(excluded(rules, "x/keep.log"));
  EXPECT_TRUE(excluded(rules, "top"));
  EXPECT_FALSE(excluded(rules, "x/top"));
  EXPECT_TRUE(excluded(rules, "x/build", true));
  EXPECT_FALSE(excluded(rules, "x/build", false));
  EXPECT_TRUE(excluded(rules, "a/b.txt"));
  EXPECT_FALSE(excluded(rules, "x/a/b.txt"));
}

TEST(IgnoreRules, HoldOnlyBelowTheirFolder) {
  IgnoreRules rules;
  ASSERT_TRUE(rules.add("*.o\n/only\n", TreeName::known("sub")));
  EXPECT_TRUE(excluded(rules, "sub/x/a.o"));
  EXPECT_TRUE(excluded(rules, "sub/only"));
  EXPECT_FALSE(excluded(rules, "a.o"));
  EXPECT_FALSE(excluded(rules, "sub/x/only"));
  rules.shrink_to(0);
  EXPECT_FALSE(excluded(rules, "sub/x/a.o"));
}

TEST(IgnoreRules, SayWhichRuleIsWrongAndWhatToDo) {
  IgnoreRules rules;
  const Error nothing = rules.add("*.o\n!/\n").error();
  EXPECT_EQ(nothing.message(), "read the exclude rule !/: it names nothing");
  EXPECT_EQ(nothing.advice(), "write a pattern behind the '!' or '/', or leave the line out");
  const Error long_one = rules.add("ab" + std::string(kPatternBytesMax, 'x')).error();
  EXPECT_EQ(long_one.message().substr(0, 30), "read the exclude rule abxxxxxx");
  EXPECT_EQ(long_one.why(), "it is longer than 1024 bytes");
  EXPECT_EQ(long_one.advice(), "write a shorter pattern, or several");
  std::string many;
  for (std::size_t i = 0; i <= kIgnoreRulesMax; ++i) many += "a\n";
  const Error too_many = IgnoreRules().add(many).error();
  EXPECT_EQ(too_many.why(), "there are more than " + std::to_string(kIgnoreRulesMax));
  EXPECT_EQ(too_many.advice(), "exclude whole folders instead of each of their files");
}

TEST(IgnoreRules, RefusesWhatIsTooMuchOrNothing) {
  IgnoreRules rules;
  EXPECT_EQ(rules.add("/\n").error().kind(), Kind::kUsage);
  EXPECT_EQ(rules.add(std::string(kPatternBytesMax + 1, 'x')).error().kind(), Kind::kLimit);
  EXPECT_EQ(rules.add(std::string(kIgnoreBytesMax + 1, '\n')).error().message(),
            "read exclude rules: they are longer than 1 MiB");
}

}  // namespace
}  // namespace longhaul::store
