#include "lib/screen/keys.hpp"

#include <cstddef>
#include <optional>

namespace longhaul::screen {
namespace {

constexpr std::size_t kSequenceMax = 32;

std::optional<Key> key_of(char byte) {
  const auto code = static_cast<unsigned char>(byte);
  if (code == '\r' || code == '\n') return Key{KeyKind::kEnter, 0};
  if (code == '\t') return Key{KeyKind::kTab, 0};
  if (code == 0x7f || code == 0x08) return Key{KeyKind::kBackspace, 0};
  if (code > 0 && code < 0x1b) return Key{KeyKind::kControl, static_cast<char>('a' + code - 1)};
  if (code >= 0x20 && code < 0x7f) return Key{KeyKind::kGlyph, byte};
  return std::nullopt;
}

// `ESC [ parameters final`: what xterm, the Linux console and tmux send.
std::optional<Key> key_of_sequence(std::string_view parameters, char last) {
  switch (last) {
    case 'A':
      return Key{KeyKind::kUp, 0};
    case 'B':
      return Key{KeyKind::kDown, 0};
    case 'C':
      return Key{KeyKind::kRight, 0};
    case 'D':
      return Key{KeyKind::kLeft, 0};
    case '~':
      if (parameters == "5") return Key{KeyKind::kPageUp, 0};
      if (parameters == "6") return Key{KeyKind::kPageDown, 0};
      return std::nullopt;
    default:
      return std::nullopt;
  }
}

bool is_final(char byte) {
  return byte >= 0x40 && byte <= 0x7e;
}

}  // namespace

std::vector<Key> KeyReader::feed(std::string_view bytes) {
  std::vector<Key> keys;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const char byte = bytes[i];
    if (left_.empty()) {
      if (byte != 0x1b) {
        if (const auto key = key_of(byte)) keys.push_back(*key);
      } else if (i + 1 == bytes.size()) {
        keys.push_back({KeyKind::kEscape, 0});
      } else {
        left_ = byte;
      }
      continue;
    }
    if (left_.size() == 1 && byte != '[' && byte != 'O') {  // Alt and a key
      keys.push_back({KeyKind::kEscape, 0});
      left_.clear();
      --i;
      continue;
    }
    left_ += byte;
    if (left_.size() == 2) continue;
    if (is_final(byte)) {
      const auto inside = std::string_view(left_).substr(2, left_.size() - 3);
      if (const auto key = key_of_sequence(inside, byte)) keys.push_back(*key);
      left_.clear();
    } else if (left_.size() > kSequenceMax) {
      left_.clear();
    }
  }
  return keys;
}

}  // namespace longhaul::screen
