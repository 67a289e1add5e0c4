// KeyReader: bytes of a terminal's keyboard as keys, whatever pieces they come in. Sequences it
// does not know are left out whole. A lone escape is one when nothing follows it in the same piece.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace longhaul::screen {

enum class KeyKind : unsigned char {
  kGlyph,  // `glyph`, printable ASCII
  kEnter,
  kEscape,
  kBackspace,
  kTab,
  kUp,
  kDown,
  kLeft,
  kRight,
  kPageUp,
  kPageDown,
  kControl,  // with the letter in `glyph`: 'c'
};
struct Key {
  KeyKind kind = KeyKind::kGlyph;
  char glyph = 0;
  bool operator==(const Key&) const = default;
};

class KeyReader {
 public:
  std::vector<Key> feed(std::string_view bytes);

 private:
  std::string left_;  // a sequence that has begun
};

}  // namespace longhaul::screen
