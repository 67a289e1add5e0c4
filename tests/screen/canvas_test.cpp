#include "lib/screen/canvas.hpp"

#include <gtest/gtest.h>

#include <charconv>

#include "lib/base/rng.hpp"
#include "lib/screen/dots.hpp"
#include "lib/screen/paint.hpp"

namespace longhaul::screen {
namespace {

// A terminal that knows what paint() sends; anything else fails.
class Terminal {
 public:
  explicit Terminal(Size size) : size_(size), rows_(static_cast<std::size_t>(size.rows)) {
    clear();
  }
  void take(const std::string& bytes) {
    for (std::size_t i = 0; i < bytes.size();) i = one(bytes, i);
  }
  std::string text() const {
    std::string all;
    for (const auto& row : rows_) {
      std::string line;
      for (const auto& cell : row) line += cell;
      while (!line.empty() && line.back() == ' ') line.pop_back();
      all += line + "\n";
    }
    return all;
  }

 private:
  void clear() {
    for (auto& row : rows_) row.assign(static_cast<std::size_t>(size_.columns), " ");
  }
  std::size_t one(const std::string& bytes, std::size_t at) {
    const auto byte = static_cast<unsigned char>(bytes[at]);
    if (byte == 0x1b) return sequence(bytes, at + 1);
    EXPECT_GE(byte, 0x20) << "a control character";
    const std::size_t length = byte < 0x80 ? 1 : byte < 0xe0 ? 2 : byte < 0xf0 ? 3 : 4;
    EXPECT_LT(column_, size_.columns);
    auto& row = rows_[static_cast<std::size_t>(row_)];
    char32_t glyph = byte;
    if (length == 3)
      glyph = ((byte & 0xfU) << 12) | ((static_cast<unsigned char>(bytes[at + 1]) & 0x3fU) << 6) |
              (static_cast<unsigned char>(bytes[at + 2]) & 0x3fU);
    row[static_cast<std::size_t>(column_)] = bytes.substr(at, length);
    const int wide = length == 3 ? width_of(glyph) : 1;
    if (wide == 2) row[static_cast<std::size_t>(column_ + 1)] = "";
    column_ += wide;
    return at + length;
  }
  std::size_t sequence(const std::string& bytes, std::size_t at) {
    EXPECT_EQ(bytes[at], '[');
    const std::size_t end = bytes.find_first_not_of("0123456789;", at + 1);
    if (bytes[end] == 'J') clear();
    if (bytes[end] == 'H') {
      const std::size_t middle = bytes.find(';', at);
      row_ = number_at(bytes, at + 1) - 1;
      column_ = number_at(bytes, middle + 1) - 1;
    } else {
      EXPECT_TRUE(bytes[end] == 'm' || bytes[end] == 'J') << bytes[end];
    }
    return end + 1;
  }

  static int number_at(const std::string& bytes, std::size_t at) {
    int number = 0;
    std::from_chars(bytes.data() + at, bytes.data() + bytes.size(), number);
    return number;
  }

  Size size_;
  std::vector<std::vector<std::string>> rows_;
  int row_ = 0, column_ = 0;
};

TEST(Canvas, NothingAPeerWroteReachesTheTerminalRaw) {
  const Size size{40, 3};
  const std::string evil =
      "\x1b[31mred\x07\x1b]0;title\x07\r\n\xc2\x9b"
      "2J\xe2\x80\xae\xff\x7f\t";
  for (std::size_t cut = 0; cut < evil.size(); ++cut) {
    Canvas canvas(size);
    canvas.put({0, 1}, evil.substr(cut), Ink::kAccent);
    Terminal terminal(size);
    terminal.take(paint(canvas, nullptr, {}));
    EXPECT_EQ(terminal.text(), plain(canvas, true));
  }
  Canvas canvas(size);
  canvas.put({0, 0}, "a\x1b[2Jb", Ink::kPlain);
  EXPECT_EQ(plain(canvas, true), "a\\x1b[2Jb\n\n\n");
}

TEST(Canvas, TextEndsWhereItsRoomEnds) {
  Canvas canvas({10, 4});
  EXPECT_EQ(canvas.put({0, 0}, "exactly10!"), 10);
  EXPECT_EQ(canvas.put({0, 1}, "eleven char", Ink::kPlain), 10);
  EXPECT_EQ(canvas.put({6, 2}, "損失", Ink::kPlain, 3), 8);  // half a glyph is none
  canvas.put_before({10, 3}, "right", Ink::kPlain, 8);
  EXPECT_EQ(plain(canvas, true), "exactly10!\neleven c..\n      ..\n     right\n");
  EXPECT_EQ(canvas.put({12, 0}, "outside"), 12);
  canvas.set({-1, 99}, U'x', Ink::kPlain);
}

TEST(Canvas, WhatATerminalMayMeasureDifferentlyIsAQuestionMark) {
  Canvas canvas({20, 1});
  canvas.put({0, 0}, "e\xcc\x81 \xf0\x9f\x98\x80 \xd8\xb3 損 é");
  EXPECT_EQ(plain(canvas, true), "e? ? ? 損 é\n");
}

// Whatever was shown before, what a terminal shows after a frame is that frame.
TEST(Paint, AFrameOverAnyOtherIsThatFrame) {
  Rng rng(7, "frames");
  const Size size{24, 6};
  const std::string_view words[] = {"loss", "損失", "x", "│", "⣿", "a b c", "失敗 0.5"};
  Terminal terminal(size);
  std::optional<Canvas> before;
  for (int frame = 0; frame < 300; ++frame) {
    Canvas now = before && rng.below(4) > 0 ? *before : Canvas(size);
    for (int i = 0; i < 4; ++i) {
      const At at{static_cast<int>(rng.below(6)) * 4, static_cast<int>(rng.below(6))};
      now.fill(at, 4, U' ', Ink::kPlain);
      now.put(at, words[rng.below(std::size(words))], static_cast<Ink>(rng.below(8)), 4);
    }
    terminal.take(paint(now, before ? &*before : nullptr, {}));
    ASSERT_EQ(terminal.text(), plain(now, true)) << frame;
    EXPECT_EQ(paint(now, &now, {}), "");
    before = now;
  }
}

TEST(Paint, WithoutColourNoneIsSentAndWithoutUnicodeOnlyAscii) {
  Canvas canvas({20, 2});
  canvas.put({0, 0}, "損 ─┄▲●⣿", Ink::kCurve);
  canvas.put({0, 1}, "warn", Ink::kWarn);
  EXPECT_EQ(paint(canvas, nullptr, {false, true}).find("38;5"), std::string::npos);
  for (const char byte : paint(canvas, nullptr, {true, false}))
    EXPECT_LT(static_cast<unsigned char>(byte), 0x7fU);
  EXPECT_EQ(plain(canvas, false), "?  --^o:\nwarn\n");
}

TEST(Dots, EachDotHasItsBit) {
  Dots dots({1, 1});
  dots.set(0, 0);
  EXPECT_EQ(dots.glyph(0, 0), U'⠁');
  dots.set(1, 3);
  EXPECT_EQ(dots.glyph(0, 0), U'⢁');
  dots.bar(1, 3, -5);
  EXPECT_EQ(dots.glyph(0, 0), U'⢹');
  Dots line({3, 1});
  line.line(0, 0, 5, 3);
  EXPECT_EQ(line.glyph(0, 0), U'⠑');
  EXPECT_EQ(line.glyph(2, 0), U'⢄');
}

}  // namespace
}  // namespace longhaul::screen
