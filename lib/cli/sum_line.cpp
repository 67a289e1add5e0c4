#include "lib/cli/sum_line.hpp"

namespace longhaul::cli {

std::string sum_line(std::string_view hex, std::string_view name) {
  const bool escaped = name.find_first_of("\\\n\r") != std::string_view::npos;
  std::string line = escaped ? "\\" : "";
  line += hex;
  line += "  ";
  for (const char c : name) {
    if (c == '\\') {
      line += "\\\\";
    } else if (c == '\n') {
      line += "\\n";
    } else if (c == '\r') {
      line += "\\r";
    } else {
      line += c;
    }
  }
  return line + '\n';
}

}  // namespace longhaul::cli
