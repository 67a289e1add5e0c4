#include "lib/base/read_number.hpp"

#include <charconv>
#include <locale>
#include <sstream>

namespace longhaul {

#ifdef __cpp_lib_to_chars
NumberRead read_number(std::string_view text) {
  NumberRead out;
  const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), out.value);
  if (status == std::errc{}) out.length = static_cast<std::size_t>(end - text.data());
  return out;
}
#else  // libc++ before 20
namespace {

std::size_t digits(std::string_view text, std::size_t at) {
  std::size_t end = at;
  while (end < text.size() && text[end] >= '0' && text[end] <= '9') ++end;
  return end - at;
}

std::size_t length_of(std::string_view text) {
  std::size_t at = text.starts_with('-') ? 1 : 0;
  const std::size_t whole = digits(text, at);
  at += whole;
  std::size_t part = 0;
  if (at < text.size() && text[at] == '.') {
    part = digits(text, at + 1);
    if (whole + part > 0) at += 1 + part;
  }
  if (whole + part == 0) return 0;
  if (at == text.size() || (text[at] != 'e' && text[at] != 'E')) return at;
  const bool sign = at + 1 < text.size() && (text[at + 1] == '-' || text[at + 1] == '+');
  const std::size_t power = digits(text, at + 1 + sign);
  return power == 0 ? at : at + 1 + sign + power;
}

}  // namespace

NumberRead read_number(std::string_view text) {
  NumberRead out;
  const std::size_t length = length_of(text);
  std::istringstream in{std::string(text.substr(0, length))};
  in.imbue(std::locale::classic());
  if (length > 0 && in >> out.value) out.length = length;
  return out;
}
#endif

}  // namespace longhaul
