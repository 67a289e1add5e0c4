#include "proxy/output_text.hpp"

#include <gtest/gtest.h>

namespace longhaul::proxy {
namespace {

std::string shown(std::string_view bytes) {
  OutputText text;
  const std::string lines = text.take(bytes);
  return lines + text.finish();
}

TEST(OutputText, LinesComeWholeWhateverPiecesTheyArriveIn) {
  OutputText text;
  EXPECT_EQ(text.take("st"), "");
  EXPECT_EQ(text.take("ep 1\nstep"), "step 1\n");
  EXPECT_EQ(text.take(" 2\n\n"), "step 2\n\n");
  EXPECT_EQ(text.take("no end"), "");
  EXPECT_EQ(text.finish(), "no end\n");
  EXPECT_EQ(text.finish(), "");
}

TEST(OutputText, NothingOfItSteersATerminal) {
  EXPECT_EQ(shown("\x1b[2J\x1b]0;owned\x07\n"), "\\x1b[2J\\x1b]0;owned\\x07\n");
  EXPECT_EQ(shown("\x1b[1;32mgreen\x1b[0m\n"), "green\n");
  EXPECT_EQ(shown("\x1b[31\n"), "\\x1b[31\n");
  EXPECT_EQ(shown("a\tb\n"), "a       b\n");
  EXPECT_EQ(shown("\xff\n"), "\\xff\n");
}

TEST(OutputText, OfAProgressLineTheLastFormIsShown) {
  EXPECT_EQ(shown("10 %\r50 %\r100 %\r\n"), "100 %\n");
  EXPECT_EQ(shown("dos\r\n"), "dos\n");
}

TEST(OutputText, AnEndlessLineIsBroken) {
  OutputText text;
  std::string out;
  for (int i = 0; i < 100; ++i) out += text.take(std::string(1000, 'x'));
  EXPECT_EQ(out.find('\n'), OutputText::kLineMax);
  EXPECT_GT(out.size(), 5 * OutputText::kLineMax);
}

}  // namespace
}  // namespace longhaul::proxy
