// Canvas: a terminal's cells as a value. Text is put onto it through printable(), so that nothing a
// peer, a disk or a user wrote can move a cursor, whoever calls put(); of scripts whose width a
// terminal may see differently, each character becomes a question mark.
//
//   Canvas canvas({80, 24});
//   canvas.put({0, 0}, run_name, Ink::kStrong, 40);
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace longhaul::screen {

struct Size {
  int columns = 0, rows = 0;
  bool operator==(const Size&) const = default;
};
struct At {
  int column = 0, row = 0;
};

enum class Ink : std::uint8_t {
  kPlain,
  kFaint,
  kStrong,
  kCurve,   // of a chart
  kAccent,  // names
  kGood,
  kWarn,
  kBad,
};

// What most terminals draw in one cell, or in two; 0: not known, so a question mark takes its
// place.
int width_of(char32_t glyph);

struct Cell {
  char32_t glyph = U' ';  // 0: the right half of a wide one
  Ink ink = Ink::kPlain;
  bool operator==(const Cell&) const = default;
};

class Canvas {
 public:
  explicit Canvas(Size size);
  Size size() const { return size_; }
  const Cell& at(int column, int row) const;
  // Outside of the canvas: nothing. A glyph that is wide or not known is for put().
  void set(At at, char32_t glyph, Ink ink);
  // At most `columns` cells; what does not fit ends in "..". The column behind it.
  int put(At at, std::string_view text, Ink ink = Ink::kPlain, int columns = 1'000'000);
  // So that it ends before `at`.
  void put_before(At at, std::string_view text, Ink ink, int columns);
  void fill(At at, int columns, char32_t glyph, Ink ink);

 private:
  Size size_;
  std::vector<Cell> cells_;
};

// Cells that put() would take for a text.
int columns_of(std::string_view text);

}  // namespace longhaul::screen
