#include "lib/screen/canvas.hpp"

#include <algorithm>
#include <array>
#include <string>

#include "lib/base/assert.hpp"
#include "lib/base/escape.hpp"

namespace longhaul::screen {
namespace {

struct Range {
  char32_t from, to;
};
// Of Unicode, what is one cell wide everywhere and changes nothing beside it.
constexpr std::array kNarrow{Range{0x20, 0x7e},     Range{0xa1, 0xac},     Range{0xae, 0x2ff},
                             Range{0x370, 0x377},   Range{0x37b, 0x37f},   Range{0x384, 0x482},
                             Range{0x48a, 0x52f},   Range{0x2010, 0x2027}, Range{0x2030, 0x205e},
                             Range{0x2070, 0x209c}, Range{0x20a0, 0x20bf}, Range{0x2190, 0x22ff},
                             Range{0x2500, 0x25ff}, Range{0x2800, 0x28ff}};
constexpr std::array kWide{Range{0x1100, 0x115f}, Range{0x2e80, 0x2fdf}, Range{0x3001, 0x3029},
                           Range{0x3041, 0x3096}, Range{0x309b, 0x30ff}, Range{0x3105, 0x4dbf},
                           Range{0x4e00, 0x9fff}, Range{0xac00, 0xd7a3}, Range{0xf900, 0xfaff},
                           Range{0xff01, 0xff60}};

template <std::size_t N>
bool holds(const std::array<Range, N>& ranges, char32_t glyph) {
  return std::any_of(ranges.begin(), ranges.end(),
                     [glyph](Range range) { return glyph >= range.from && glyph <= range.to; });
}

// The next character of valid UTF-8.
char32_t next_of(std::string_view text, std::size_t& at) {
  const auto byte = [&](std::size_t i) {
    return static_cast<char32_t>(static_cast<unsigned char>(text[i]));
  };
  const char32_t lead = byte(at++);
  if (lead < 0x80) return lead;
  const std::size_t more = lead >= 0xf0 ? 3 : lead >= 0xe0 ? 2 : 1;
  char32_t glyph = lead & (0x3fU >> more);
  for (std::size_t i = 0; i < more; ++i) glyph = (glyph << 6) | (byte(at++) & 0x3fU);
  return glyph;
}

std::u32string glyphs_of(std::string_view text) {
  constexpr std::size_t kMost = 4096;  // bytes: no line of a terminal is longer
  const std::string safe = printable(text, kMost);
  std::u32string glyphs;
  for (std::size_t at = 0; at < safe.size();) {
    const char32_t glyph = next_of(safe, at);
    glyphs.push_back(width_of(glyph) > 0 ? glyph : U'?');
  }
  return glyphs;
}

int columns_of(const std::u32string& glyphs) {
  int columns = 0;
  for (const char32_t glyph : glyphs) columns += width_of(glyph);
  return columns;
}

// So much of the glyphs as fits, with ".." if it is not all.
std::u32string cut(std::u32string glyphs, int columns) {
  int used = columns_of(glyphs);
  if (used <= columns) return glyphs;
  const int dots = std::min(columns, 2);
  while (!glyphs.empty() && used > columns - dots) {
    used -= width_of(glyphs.back());
    glyphs.pop_back();
  }
  return glyphs + std::u32string(static_cast<std::size_t>(std::max(dots, 0)), U'.');
}

}  // namespace

int width_of(char32_t glyph) {
  if (holds(kNarrow, glyph)) return 1;
  return holds(kWide, glyph) ? 2 : 0;
}

int columns_of(std::string_view text) {
  return columns_of(glyphs_of(text));
}

Canvas::Canvas(Size size)
    : size_{std::max(size.columns, 0), std::max(size.rows, 0)},
      cells_(static_cast<std::size_t>(size_.columns) * static_cast<std::size_t>(size_.rows)) {}

const Cell& Canvas::at(int column, int row) const {
  ASSERT(column >= 0 && column < size_.columns && row >= 0 && row < size_.rows);
  return cells_[static_cast<std::size_t>(row) * static_cast<std::size_t>(size_.columns) +
                static_cast<std::size_t>(column)];
}

void Canvas::set(At at, char32_t glyph, Ink ink) {
  if (at.column < 0 || at.column >= size_.columns || at.row < 0 || at.row >= size_.rows) return;
  if (glyph != 0 && width_of(glyph) == 0) glyph = U'?';
  cells_[static_cast<std::size_t>(at.row) * static_cast<std::size_t>(size_.columns) +
         static_cast<std::size_t>(at.column)] = {glyph, ink};
}

int Canvas::put(At at, std::string_view text, Ink ink, int columns) {
  columns = std::min(columns, size_.columns - at.column);
  if (columns <= 0) return at.column;
  for (const char32_t glyph : cut(glyphs_of(text), columns)) {
    set(at, glyph, ink);
    if (width_of(glyph) == 2) set({at.column + 1, at.row}, 0, ink);
    at.column += width_of(glyph);
  }
  return at.column;
}

void Canvas::put_before(At at, std::string_view text, Ink ink, int columns) {
  const int used = std::min(columns_of(text), columns);
  put({at.column - used, at.row}, text, ink, used);
}

void Canvas::fill(At at, int columns, char32_t glyph, Ink ink) {
  for (int i = 0; i < columns; ++i) set({at.column + i, at.row}, glyph, ink);
}

}  // namespace longhaul::screen
