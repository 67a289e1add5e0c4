#include "lib/base/bytes.hpp"

namespace longhaul {
namespace {

int digit_of(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

std::string to_hex(Bytes bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string out;
  out.reserve(bytes.size() * 2);
  for (std::byte b : bytes) {
    out.push_back(kDigits[std::to_integer<unsigned>(b) >> 4]);
    out.push_back(kDigits[std::to_integer<unsigned>(b) & 15U]);
  }
  return out;
}

Result<ByteVector> from_hex(std::string_view hex) {
  if (hex.size() % 2 != 0) return fail(Kind::kMalformed, "read hex digits", "odd number of them");
  ByteVector out;
  out.reserve(hex.size() / 2);
  for (std::size_t i = 0; i < hex.size(); i += 2) {
    const int high = digit_of(hex[i]);
    const int low = digit_of(hex[i + 1]);
    if (high < 0 || low < 0) return fail(Kind::kMalformed, "read hex digits", "not a hex digit");
    out.push_back(static_cast<std::byte>(high * 16 + low));
  }
  return out;
}

}  // namespace longhaul
