#include "lib/base/spelling.hpp"

#include <gtest/gtest.h>

namespace longhaul {
namespace {

const std::vector<std::string> kCommands{"init", "join", "sites", "push", "pull", "ls", "rm"};

TEST(Spelling, FindsWhatWasMeant) {
  EXPECT_EQ(nearest_word("psh", kCommands), "push");    // a letter left out
  EXPECT_EQ(nearest_word("psuh", kCommands), "push");   // two swapped
  EXPECT_EQ(nearest_word("pusth", kCommands), "push");  // one too many
  EXPECT_EQ(nearest_word("site", kCommands), "sites");
  EXPECT_EQ(nearest_word("lss", kCommands), "ls");
}

TEST(Spelling, SuggestsNothingThatIsFarOff) {
  EXPECT_EQ(nearest_word("train", kCommands), "");
  EXPECT_EQ(nearest_word("x", kCommands), "");
  EXPECT_EQ(nearest_word("", kCommands), "");
  EXPECT_EQ(nearest_word(std::string(10'000, 'p'), kCommands), "");
}

}  // namespace
}  // namespace longhaul
