// Decimal: doubles that are whole numbers of some power of ten: seconds counted in nanoseconds, a
// learning rate that somebody typed, what was rounded before it was logged. As doubles their last
// bits look random; as integers their differences are short.
//
// A value belongs if one division gives it back bit for bit. IEEE 754 rounds that one way only, so
// both ends agree.
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <optional>
#include <vector>

namespace longhaul::run {

constexpr std::uint8_t kDecimalPlaces = 13;  // 0 to 12

namespace detail {
constexpr std::array<double, kDecimalPlaces> kTens{1,   1e1, 1e2, 1e3,  1e4,  1e5, 1e6,
                                                   1e7, 1e8, 1e9, 1e10, 1e11, 1e12};
constexpr std::uint64_t kSign = std::uint64_t{1} << 63;
}  // namespace detail

// A sign and a whole number, in the form of a double's bits: Predictor keeps their order.
constexpr double from_decimal(std::uint64_t whole, std::uint8_t places) {
  const double value = static_cast<double>(whole & ~detail::kSign) / detail::kTens[places];
  return (whole & detail::kSign) != 0 ? -value : value;
}

constexpr std::optional<std::uint64_t> to_decimal(double value, std::uint8_t places) {
  // Below 2^50 the product is off by a quarter at most, and rounding it finds the number.
  constexpr double kMost = 1'125'899'906'842'624;
  const std::uint64_t sign = std::bit_cast<std::uint64_t>(value) & detail::kSign;
  const double scaled = (sign != 0 ? -value : value) * detail::kTens[places];
  if (!(scaled < kMost)) return std::nullopt;  // NaN, too
  const std::uint64_t whole = static_cast<std::uint64_t>(scaled + 0.5) | sign;
  const double back = from_decimal(whole, places);
  if (std::bit_cast<std::uint64_t>(back) != std::bit_cast<std::uint64_t>(value))
    return std::nullopt;
  return whole;
}

// The fewest places that hold all of them.
std::optional<std::uint8_t> decimal_places(const std::vector<std::uint64_t>& bits);

}  // namespace longhaul::run
