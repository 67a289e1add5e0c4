#include "lib/screen/dots.hpp"

#include <algorithm>
#include <cstdlib>

namespace longhaul::screen {

namespace {
// Bits of U+2800 by row and column of the cell.
constexpr std::uint8_t kBit[4][2] = {{0x01, 0x08}, {0x02, 0x10}, {0x04, 0x20}, {0x40, 0x80}};
}  // namespace

Dots::Dots(Size cells)
    : cells_{std::max(cells.columns, 0), std::max(cells.rows, 0)},
      bits_(static_cast<std::size_t>(cells_.columns) * static_cast<std::size_t>(cells_.rows)) {}

void Dots::set(int x, int y) {
  if (x < 0 || x >= width() || y < 0 || y >= height()) return;
  bits_[static_cast<std::size_t>(y / 4) * static_cast<std::size_t>(cells_.columns) +
        static_cast<std::size_t>(x / 2)] |= kBit[y % 4][x % 2];
}

void Dots::bar(int x, int from, int to) {
  for (int y = std::min(from, to); y <= std::max(from, to); ++y) set(x, y);
}

void Dots::line(int x0, int y0, int x1, int y1) {
  const int dx = std::abs(x1 - x0), dy = -std::abs(y1 - y0);
  const int sx = x0 < x1 ? 1 : -1, sy = y0 < y1 ? 1 : -1;
  int error = dx + dy;
  for (;;) {
    set(x0, y0);
    if (x0 == x1 && y0 == y1) return;
    const int twice = 2 * error;
    if (twice >= dy) {
      error += dy;
      x0 += sx;
    }
    if (twice <= dx) {
      error += dx;
      y0 += sy;
    }
  }
}

char32_t Dots::glyph(int column, int row) const {
  if (column < 0 || column >= cells_.columns || row < 0 || row >= cells_.rows) return U' ';
  const std::uint8_t bits =
      bits_[static_cast<std::size_t>(row) * static_cast<std::size_t>(cells_.columns) +
            static_cast<std::size_t>(column)];
  return bits == 0 ? U' ' : char32_t{0x2800} + bits;
}

void Dots::draw(Canvas& canvas, At at, Ink ink) const {
  for (int row = 0; row < cells_.rows; ++row)
    for (int column = 0; column < cells_.columns; ++column)
      if (const char32_t one = glyph(column, row); one != U' ')
        canvas.set({at.column + column, at.row + row}, one, ink);
}

}  // namespace longhaul::screen
