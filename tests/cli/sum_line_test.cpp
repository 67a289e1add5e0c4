#include "lib/cli/sum_line.hpp"

#include <gtest/gtest.h>

namespace longhaul::cli {
namespace {

TEST(SumLine, IsAsCoreutilsWritesIt) {
  EXPECT_EQ(sum_line("00ff", "a/b c"), "00ff  a/b c\n");
  EXPECT_EQ(sum_line("00ff", "a\\b"), "\\00ff  a\\\\b\n");
  EXPECT_EQ(sum_line("00ff", "a\nb\rc"), "\\00ff  a\\nb\\rc\n");
}

}  // namespace
}  // namespace longhaul::cli
