#include "lib/base/escape.hpp"

#include <fmt/format.h>

#include <cstdint>

namespace longhaul {
namespace {

struct Decoded {
  std::uint32_t point = 0;
  std::size_t length = 0;  // 0: invalid
};

Decoded decode_utf8(std::string_view text) {
  const auto at = [&](std::size_t i) {
    return static_cast<std::uint32_t>(static_cast<unsigned char>(text[i]));
  };
  const std::uint32_t lead = at(0);
  if (lead < 0x80) return {lead, 1};
  const std::size_t length = lead >= 0xf0 ? 4U : lead >= 0xe0 ? 3U : 2U;
  if (lead < 0xc2 || lead > 0xf4 || text.size() < length) return {};
  std::uint32_t point = lead & (0xffU >> (length + 1));
  for (std::size_t i = 1; i < length; ++i) {
    if ((at(i) & 0xc0U) != 0x80U) return {};
    point = (point << 6) | (at(i) & 0x3fU);
  }
  const bool overlong = (length == 3 && point < 0x800) || (length == 4 && point < 0x10000);
  if (overlong || point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff)) return {};
  return {point, length};
}

bool is_hidden(std::uint32_t point) {  // controls, and what reorders or hides the text around it
  return point < 0x20 || (point >= 0x7f && point < 0xa0) || (point >= 0x200b && point <= 0x200f) ||
         (point >= 0x2028 && point <= 0x202e) || (point >= 0x2060 && point <= 0x206f) ||
         point == 0xfeff || point == 0x00ad || point == 0x061c ||
         (point >= 0xe0000 && point <= 0xe007f);
}

}  // namespace

std::string printable(std::string_view raw, std::size_t max_bytes) {
  std::string out;
  for (std::size_t i = 0; i < raw.size();) {
    if (out.size() >= max_bytes) return out + "..";
    const Decoded decoded = decode_utf8(raw.substr(i));
    if (decoded.length == 0) {
      out += fmt::format("\\x{:02x}", static_cast<unsigned char>(raw[i]));
      ++i;
      continue;
    }
    if (raw[i] == '\\') {
      out += "\\\\";
    } else if (raw[i] == '\n') {
      out += "\\n";
    } else if (decoded.point < 0x80 && is_hidden(decoded.point)) {
      out += fmt::format("\\x{:02x}", decoded.point);
    } else if (is_hidden(decoded.point)) {
      out += fmt::format("\\u{{{:x}}}", decoded.point);
    } else {
      out += raw.substr(i, decoded.length);
    }
    i += decoded.length;
  }
  return out;
}

}  // namespace longhaul
