#include "proxy/output_text.hpp"

#include <algorithm>

#include "lib/base/escape.hpp"

namespace longhaul::proxy {
namespace {

// Without colours (ECMA-48, SGR: ESC [ digits and semicolons m).
std::string without_colours(std::string_view line) {
  std::string out;
  for (std::size_t at = 0; at < line.size(); ++at) {
    if (line.substr(at, 2) == "\x1b[") {
      const std::size_t end = line.find_first_not_of("0123456789;", at + 2);
      if (end != std::string_view::npos && line[end] == 'm') {
        at = end;
        continue;
      }
    }
    out += line[at];
  }
  return out;
}

std::string shown(std::string_view line) {
  while (!line.empty() && line.back() == '\r') line.remove_suffix(1);
  if (const std::size_t over = line.rfind('\r'); over != std::string_view::npos)
    line.remove_prefix(over + 1);
  std::string spaced;
  for (const char byte : without_colours(line)) {
    if (byte == '\t')
      spaced.append(8 - spaced.size() % 8, ' ');
    else
      spaced += byte;
  }
  return printable(spaced, 8 * OutputText::kLineMax) + "\n";
}

}  // namespace

std::string OutputText::take(std::string_view bytes) {
  std::string out;
  while (!bytes.empty()) {
    const std::size_t end = bytes.find('\n');
    const std::size_t room = kLineMax - line_.size();
    if (end == std::string_view::npos || end > room) {
      line_ += bytes.substr(0, room);
      bytes.remove_prefix(std::min(room, bytes.size()));
      if (line_.size() < kLineMax) return out;
    } else {
      line_ += bytes.substr(0, end);
      bytes.remove_prefix(end + 1);
    }
    out += shown(line_);
    line_.clear();
  }
  return out;
}

std::string OutputText::finish() {
  const std::string out = line_.empty() ? "" : shown(line_);
  line_.clear();
  return out;
}

}  // namespace longhaul::proxy
