#include "lib/run/decimal.hpp"

namespace longhaul::run {

std::optional<std::uint8_t> decimal_places(const std::vector<std::uint64_t>& bits) {
  std::uint8_t places = 0;
  for (const std::uint64_t one : bits) {
    // What has few places has more, too, unless it is large: the last pass finds that out.
    while (!to_decimal(std::bit_cast<double>(one), places))
      if (++places == kDecimalPlaces) return std::nullopt;
  }
  for (const std::uint64_t one : bits)
    if (!to_decimal(std::bit_cast<double>(one), places)) return std::nullopt;
  return places;
}

}  // namespace longhaul::run
