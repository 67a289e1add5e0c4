#include "lib/screen/keys.hpp"

#include <gtest/gtest.h>

namespace longhaul::screen {
namespace {

std::vector<Key> keys_of(std::string_view bytes) {
  return KeyReader().feed(bytes);
}

TEST(KeyReader, ReadsWhatTerminalsSend) {
  EXPECT_EQ(keys_of("q"), (std::vector<Key>{{KeyKind::kGlyph, 'q'}}));
  EXPECT_EQ(
      keys_of("\x1b[A\x1bOB\x1b[5~\x1b[6~"),
      (std::vector<Key>{
          {KeyKind::kUp, 0}, {KeyKind::kDown, 0}, {KeyKind::kPageUp, 0}, {KeyKind::kPageDown, 0}}));
  EXPECT_EQ(keys_of("\x03\r\x7f\t"), (std::vector<Key>{{KeyKind::kControl, 'c'},
                                                       {KeyKind::kEnter, 0},
                                                       {KeyKind::kBackspace, 0},
                                                       {KeyKind::kTab, 0}}));
  EXPECT_EQ(keys_of("\x1b"), (std::vector<Key>{{KeyKind::kEscape, 0}}));
}

TEST(KeyReader, ASequenceItDoesNotKnowIsLeftOutWhole) {
  EXPECT_EQ(keys_of("\x1b[<0;12;34Mq\x1b[200~x"),
            (std::vector<Key>{{KeyKind::kGlyph, 'q'}, {KeyKind::kGlyph, 'x'}}));
  EXPECT_EQ(keys_of("\xc3\xa9z"), (std::vector<Key>{{KeyKind::kGlyph, 'z'}}));
}

TEST(KeyReader, PiecesAreJoined) {
  KeyReader reader;
  EXPECT_TRUE(reader.feed("\x1b[").empty());
  EXPECT_EQ(reader.feed("5~"), (std::vector<Key>{{KeyKind::kPageUp, 0}}));
  const std::string endless = "\x1b[" + std::string(100, '1');
  EXPECT_LT(reader.feed(endless).size(), 100U);
  EXPECT_EQ(reader.feed("q").back(), (Key{KeyKind::kGlyph, 'q'}));
}

}  // namespace
}  // namespace longhaul::screen
