// Dots: a small bitmap, two dots wide and four high a cell, drawn as Unicode braille (U+2800). The
// origin is at the upper left.
#pragma once

#include <cstdint>
#include <vector>

#include "lib/screen/canvas.hpp"

namespace longhaul::screen {

class Dots {
 public:
  explicit Dots(Size cells);
  int width() const { return cells_.columns * 2; }
  int height() const { return cells_.rows * 4; }
  void set(int x, int y);                           // outside: nothing
  void bar(int x, int from, int to);                // all of a column between two heights
  void line(int x0, int y0, int x1, int y1);        // by Bresenham
  char32_t glyph(int column, int row) const;        // of a cell; a space where no dot is
  void draw(Canvas& canvas, At at, Ink ink) const;  // cells without a dot stay as they are

 private:
  Size cells_;
  std::vector<std::uint8_t> bits_;
};

}  // namespace longhaul::screen
