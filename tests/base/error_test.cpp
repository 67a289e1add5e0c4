#include <gtest/gtest.h>

#include <cerrno>

#include "lib/base/result.hpp"

namespace longhaul {
namespace {

Result<int> halve(int n) {
  if (n % 2 != 0) return fail(Kind::kUsage, "halve", "odd");
  return n / 2;
}
Result<> check(int n) {
  TRY(halve(n));
  return {};
}
Result<int> quarter(int n) {
  const int half = TRY(halve(n));
  return TRY(halve(half));
}

TEST(Result, TryPassesValuesAndLeavesWithErrors) {
  EXPECT_EQ(*quarter(8), 2);
  EXPECT_EQ(quarter(6).error().message(), "halve: odd");
  EXPECT_TRUE(check(2).has_value());
  EXPECT_FALSE(check(1).has_value());
}

TEST(Error, SaysWhatWasAttemptedAndWhy) {
  const Error error = fail_errno("open /data", ENOENT).value();
  EXPECT_EQ(error.kind(), Kind::kNotFound);
  EXPECT_EQ(error.message(), "open /data: No such file or directory");
}

TEST(Error, KnowsAFullDiskFromABrokenOne) {
  EXPECT_EQ(Error::kind_of_errno(ENOSPC), Kind::kNoSpace);
  EXPECT_EQ(Error::kind_of_errno(EIO), Kind::kIo);
  EXPECT_EQ(Error::kind_of_errno(ECONNRESET), Kind::kLink);
}

}  // namespace
}  // namespace longhaul
