#include "compression/json_walker.hpp"

#include <charconv>

namespace longhaul::compression {
namespace {

bool is_hex(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

// Length of the escape that begins at text[0] == '\\'; 0 if it is none.
std::size_t escape_bytes(std::string_view text) {
  if (text.size() < 2) return 0;
  if (std::string_view("\"\\/bfnrt").find(text[1]) != std::string_view::npos) return 2;
  if (text[1] != 'u' || text.size() < 6) return 0;
  for (std::size_t i = 2; i < 6; ++i)
    if (!is_hex(text[i])) return 0;
  return 6;
}

}  // namespace

void JsonWalker::skip_space() {
  const std::size_t used = rest_.find_first_not_of(" \t\r\n");
  rest_.remove_prefix(used == std::string_view::npos ? rest_.size() : used);
}

bool JsonWalker::take(char wanted) {
  skip_space();
  if (rest_.empty() || rest_.front() != wanted) return false;
  rest_.remove_prefix(1);
  return true;
}

Result<> JsonWalker::expect(char wanted) {
  if (take(wanted)) return {};
  return fail(Kind::kMalformed, attempt_, std::string("expected '") + wanted + "'");
}

Result<std::string_view> JsonWalker::string() {
  TRY(expect('"'));
  std::size_t at = 0;
  while (at < rest_.size() && rest_[at] != '"') {
    if (static_cast<unsigned char>(rest_[at]) < 0x20)
      return fail(Kind::kMalformed, attempt_, "control character in a string");
    const std::size_t step = rest_[at] == '\\' ? escape_bytes(rest_.substr(at)) : 1;
    if (step == 0) return fail(Kind::kMalformed, attempt_, "unknown escape");
    at += step;
  }
  if (at >= rest_.size()) return fail(Kind::kMalformed, attempt_, "a string does not end");
  const std::string_view found = rest_.substr(0, at);
  rest_.remove_prefix(at + 1);
  return found;
}

Result<std::uint64_t> JsonWalker::number() {
  skip_space();
  std::uint64_t value = 0;
  const char* begin = rest_.data();
  const auto [stopped, error] = std::from_chars(begin, begin + rest_.size(), value);
  if (error != std::errc())
    return fail(Kind::kMalformed, attempt_, "not a whole number of 64 bits");
  const auto used = static_cast<std::size_t>(stopped - begin);
  if (used > 1 && rest_.front() == '0') return fail(Kind::kMalformed, attempt_, "leading zero");
  rest_.remove_prefix(used);
  return value;
}

Result<> JsonWalker::end() {
  skip_space();
  if (rest_.empty()) return {};
  return fail(Kind::kMalformed, attempt_, "more text behind the end");
}

}  // namespace longhaul::compression
