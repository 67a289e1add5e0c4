#include "lib/screen/paint.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

namespace longhaul::screen {
namespace {

void append_utf8(std::string& out, char32_t glyph) {
  const auto byte = [&out](char32_t bits) { out.push_back(static_cast<char>(bits)); };
  if (glyph < 0x80) return byte(glyph);
  if (glyph < 0x800) {
    byte(0xc0U | (glyph >> 6));
    return byte(0x80U | (glyph & 0x3fU));
  }
  if (glyph < 0x10000) {
    byte(0xe0U | (glyph >> 12));
    byte(0x80U | ((glyph >> 6) & 0x3fU));
    return byte(0x80U | (glyph & 0x3fU));
  }
  byte(0xf0U | (glyph >> 18));
  byte(0x80U | ((glyph >> 12) & 0x3fU));
  byte(0x80U | ((glyph >> 6) & 0x3fU));
  byte(0x80U | (glyph & 0x3fU));
}

// The nearest that ASCII has.
char ascii_of(char32_t glyph) {
  if (glyph >= 0x20 && glyph < 0x7f) return static_cast<char>(glyph);
  if (glyph > 0x2800 && glyph <= 0x28ff) {
    const bool upper = (glyph & 0x1bU) != 0, lower = (glyph & 0xe4U) != 0;
    return upper && lower ? ':' : upper ? '\'' : '.';
  }
  switch (glyph) {
    case U'─':
    case U'┄':
      return '-';
    case U'│':
      return '|';
    case U'▲':
      return '^';
    case U'◆':
      return '+';
    case U'●':
      return 'o';
    case U'·':
      return '.';
    default:
      return glyph >= 0x2500 && glyph < 0x2580 ? '+' : '?';
  }
}

void append_glyph(std::string& out, char32_t glyph, bool unicode) {
  if (glyph == 0) {
    if (!unicode) out.push_back(' ');
    return;
  }
  if (unicode)
    append_utf8(out, glyph);
  else
    out.push_back(ascii_of(glyph));
}

// Colours that are told apart whatever eyes one has (Okabe and Ito 2008), as the nearest of 256.
std::string_view sequence_of(Ink ink, bool color) {
  switch (ink) {
    case Ink::kPlain:
      return "\x1b[0m";
    case Ink::kFaint:
      return "\x1b[0;2m";
    case Ink::kStrong:
      return "\x1b[0;1m";
    case Ink::kCurve:
      return color ? "\x1b[0;38;5;74m" : "\x1b[0m";
    case Ink::kAccent:
      return color ? "\x1b[0;1;38;5;74m" : "\x1b[0;1m";
    case Ink::kGood:
      return color ? "\x1b[0;38;5;36m" : "\x1b[0m";
    case Ink::kWarn:
      return color ? "\x1b[0;1;38;5;214m" : "\x1b[0;1m";
    case Ink::kBad:
      return color ? "\x1b[0;1;38;5;202m" : "\x1b[0;1m";
  }
  return "\x1b[0m";
}

}  // namespace

namespace {

constexpr int kBridge = 4;  // cells that did not change, for less than a move of the cursor costs

class Brush {
 public:
  Brush(const Canvas& now, Look look) : now_(now), look_(look) {}

  // The cell and, of a wide glyph, its right half.
  void draw(int column, int row) {
    if (row_ != row || pen_ < 0 || column - pen_ > kBridge || column < pen_) {
      out_ += fmt::format("\x1b[{};{}H", row + 1, column + 1);
      row_ = row;
      pen_ = column;
    }
    while (pen_ < column) glyph(pen_, row);
    glyph(column, row);
  }
  std::string take() {
    if (ink_ && *ink_ != Ink::kPlain) out_ += "\x1b[0m";
    return std::move(out_);
  }

 private:
  void glyph(int column, int row) {
    const Cell& cell = now_.at(column, row);
    if (cell.glyph == 0) {  // the pen is behind it already
      pen_ = column + 1;
      return;
    }
    if (ink_ != cell.ink && cell.glyph != U' ') {  // no ink shows on a space
      out_ += sequence_of(cell.ink, look_.color);
      ink_ = cell.ink;
    }
    append_glyph(out_, cell.glyph, look_.unicode);
    pen_ = column + width_of(cell.glyph);
    if (!look_.unicode && width_of(cell.glyph) == 2) out_.push_back(' ');
  }

  const Canvas& now_;
  const Look look_;
  std::string out_;
  std::optional<Ink> ink_;
  int row_ = -1, pen_ = -1;
};

}  // namespace

std::string paint(const Canvas& now, const Canvas* before, Look look) {
  const Size size = now.size();
  const bool fresh = before == nullptr || !(before->size() == size);
  Brush brush(now, look);
  const auto differs = [&](int column, int row) {
    return !(now.at(column, row) == (fresh ? Cell() : before->at(column, row)));
  };
  for (int row = 0; row < size.rows; ++row) {
    for (int column = 0; column < size.columns; ++column) {
      if (now.at(column, row).glyph == 0) continue;
      // The right half of a wide glyph goes with its left half, and both when either changed.
      const bool wide = column + 1 < size.columns && now.at(column + 1, row).glyph == 0;
      if (differs(column, row) || (wide && differs(column + 1, row))) brush.draw(column, row);
    }
  }
  return (fresh ? "\x1b[0m\x1b[2J" : "") + brush.take();
}

std::string plain(const Canvas& canvas, bool unicode) {
  std::string out;
  for (int row = 0; row < canvas.size().rows; ++row) {
    int end = canvas.size().columns;
    while (end > 0 && canvas.at(end - 1, row).glyph == U' ') --end;
    for (int column = 0; column < end; ++column)
      append_glyph(out, canvas.at(column, row).glyph, unicode);
    out += "\n";
  }
  return out;
}

}  // namespace longhaul::screen
