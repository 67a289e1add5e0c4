#include "proxy/files.hpp"

#include <gtest/gtest.h>

namespace longhaul::proxy {
namespace {

// What is synced is where the new folder's name stands, or a power cut takes all that is in it.
TEST(Files, KnowsWhereANameStands) {
  EXPECT_EQ(parent_of("checkpoints"), ".");
  EXPECT_EQ(parent_of("checkpoints/"), ".");
  EXPECT_EQ(parent_of("checkpoints/lab"), "checkpoints");
  EXPECT_EQ(parent_of("a//b//"), "a");
  EXPECT_EQ(parent_of("/a"), "/");
  EXPECT_EQ(parent_of("//a"), "/");
  EXPECT_EQ(parent_of("/a/b"), "/a");
  EXPECT_EQ(parent_of("/"), "/");
  EXPECT_EQ(parent_of(""), ".");
}

}  // namespace
}  // namespace longhaul::proxy
