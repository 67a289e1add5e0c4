#include "lib/base/escape.hpp"

#include <gtest/gtest.h>

namespace longhaul {
namespace {

TEST(Escape, LeavesPlainTextAndUnicodeAlone) {
  EXPECT_EQ(printable("caf\xc3\xa9 \xe6\x97\xa5"), "caf\xc3\xa9 \xe6\x97\xa5");
}

TEST(Escape, DisarmsTerminalSequences) {
  EXPECT_EQ(printable("a\x1b[2Jb\nc\r"), "a\\x1b[2Jb\\nc\\x0d");
}

TEST(Escape, ShowsInvalidUtf8AsBytes) {
  EXPECT_EQ(printable("\xff\xc0\xaf"), "\\xff\\xc0\\xaf");
  EXPECT_EQ(printable("\xed\xa0\x80"), "\\xed\\xa0\\x80");  // a surrogate
  EXPECT_EQ(printable("\xe6\x97"), "\\xe6\\x97");           // cut short
}

TEST(Escape, ShowsBidirectionalOverrides) {
  EXPECT_EQ(printable("x\xe2\x80\xaey"), "x\\u{202e}y");
}

TEST(Escape, BoundsTheLength) {
  EXPECT_EQ(printable(std::string(100, 'a'), 8), "aaaaaaaa..");
}

}  // namespace
}  // namespace longhaul
