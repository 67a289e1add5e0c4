#include "netsim/quantity.hpp"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <optional>

#include "lib/base/escape.hpp"

namespace netsim {
namespace {

using longhaul::fail;
using longhaul::Kind;
__extension__ using Wide = unsigned __int128;

constexpr Duration kLongest = std::chrono::hours(24 * 366);
constexpr std::uint64_t kFastest = 1'000'000'000'000;  // bytes per second
constexpr std::uint64_t kLargest = std::uint64_t{1} << 50;

struct Unit {
  std::string_view name;
  std::uint64_t factor;
};
constexpr std::array kTimeUnits{
    Unit{"h", 3'600'000'000'000}, Unit{"min", 60'000'000'000}, Unit{"s", 1'000'000'000},
    Unit{"ms", 1'000'000},        Unit{"us", 1'000},           Unit{"ns", 1}};
constexpr std::array kSizeUnits{
    Unit{"B", 1},          Unit{"kB", 1'000},     Unit{"MB", 1'000'000}, Unit{"GB", 1'000'000'000},
    Unit{"KiB", 1U << 10}, Unit{"MiB", 1U << 20}, Unit{"GiB", 1U << 30}};
constexpr std::array kBitUnits{Unit{"bit", 1}, Unit{"kbit", 1'000}, Unit{"mbit", 1'000'000},
                               Unit{"gbit", 1'000'000'000}};

auto refuse(std::string_view what, std::string_view text, std::string why) {
  return fail(Kind::kUsage, fmt::format("read {} '{}'", what, longhaul::printable(text, 80)),
              std::move(why));
}

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

struct Decimal {  // mantissa / 10^decimals, at most 18 digits
  std::uint64_t mantissa = 0;
  std::uint64_t divisor = 1;
  std::string_view unit;
};

std::optional<Decimal> scan(std::string_view text) {
  Decimal out;
  std::size_t i = 0, digits = 0;
  const auto take = [&](bool fraction) {
    const std::size_t from = i;
    for (; i < text.size() && is_digit(text[i]); ++i, ++digits) {
      if (digits == 18) return false;
      out.mantissa = out.mantissa * 10 + static_cast<std::uint64_t>(text[i] - '0');
      if (fraction) out.divisor *= 10;
    }
    return i > from;
  };
  if (!take(false)) return std::nullopt;
  if (i < text.size() && text[i] == '.') {
    ++i;
    if (!take(true)) return std::nullopt;
  }
  out.unit = text.substr(i);
  return out;
}

template <std::size_t N>
std::optional<std::uint64_t> factor_of(const std::array<Unit, N>& units, std::string_view name) {
  for (const Unit& unit : units)
    if (unit.name == name) return unit.factor;
  return std::nullopt;
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return out;
}

// value / factor as an exact decimal, without trailing zeros; factor is a power of ten.
std::string decimal_text(std::uint64_t value, std::uint64_t factor) {
  std::string out = std::to_string(value / factor);
  std::uint64_t rest = value % factor;
  if (rest == 0) return out;
  out += '.';
  for (std::uint64_t place = factor / 10; rest > 0; place /= 10) {
    out += static_cast<char>('0' + rest / place);
    rest %= place;
  }
  return out;
}

}  // namespace

Result<Duration> parse_duration(std::string_view text) {
  if (text == "0") return Duration{0};
  const auto number = scan(text);
  if (!number)
    return refuse("duration", text, "a duration is a number of 0 or more and a unit, as 150ms");
  const auto factor = factor_of(kTimeUnits, number->unit);
  if (!factor) return refuse("duration", text, "the unit is one of ns, us, ms, s, min, h");
  const Wide scaled = Wide{number->mantissa} * *factor;
  if (scaled % number->divisor != 0) return refuse("duration", text, "finer than a nanosecond");
  const Wide ns = scaled / number->divisor;
  if (ns > static_cast<Wide>(kLongest.count())) return refuse("duration", text, "over a year");
  return Duration{static_cast<std::int64_t>(ns)};
}

Result<Duration> parse_signed_duration(std::string_view text) {
  const bool negative = text.starts_with('-');
  if (negative || text.starts_with('+')) {
    const Duration value = TRY(parse_duration(text.substr(1)));
    return negative ? -value : value;
  }
  return parse_duration(text);
}

Result<ByteCount> parse_size(std::string_view text) {
  const auto number = scan(text);
  if (!number) return refuse("size", text, "a size is a number of 0 or more and a unit, as 512KiB");
  const auto factor = factor_of(kSizeUnits, number->unit);
  if (!factor) return refuse("size", text, "the unit is one of B, kB, MB, GB, KiB, MiB, GiB");
  const Wide scaled = Wide{number->mantissa} * *factor;
  if (scaled % number->divisor != 0) return refuse("size", text, "not a whole number of bytes");
  const Wide bytes = scaled / number->divisor;
  if (bytes > kLargest) return refuse("size", text, "over 1 PiB");
  return ByteCount(static_cast<std::uint64_t>(bytes));
}

Result<BytesPerSecond> parse_rate_value(std::string_view text) {
  const auto number = scan(text);
  constexpr auto kTooSlow = "a rate is at least 8bit; for no traffic use an outage";
  if (!number) return refuse("rate", text, "a rate is a number over 0 and a unit, as 100mbit");
  if (number->mantissa == 0) return refuse("rate", text, kTooSlow);  // whatever the unit
  std::string_view unit = number->unit;
  const bool per_second = unit.ends_with("/s");
  if (per_second) unit.remove_suffix(2);
  std::uint64_t factor = 0, parts = 1;
  if (const auto bits = factor_of(kBitUnits, lower(unit))) {
    factor = *bits;
    parts = 8;
  } else if (const auto bytes = factor_of(kSizeUnits, unit); bytes && per_second) {
    factor = *bytes;
  } else {
    return refuse("rate", text, "the unit is bit, kbit, mbit, gbit, or B/s, kB/s, MB/s, MiB/s, ..");
  }
  const Wide divisor = Wide{number->divisor} * parts;
  const Wide rate = (Wide{number->mantissa} * factor + divisor / 2) / divisor;
  if (rate == 0) return refuse("rate", text, kTooSlow);
  if (rate > kFastest) return refuse("rate", text, "over 1 TB/s");
  return BytesPerSecond(static_cast<std::uint64_t>(rate));
}

Result<double> parse_number(std::string_view text) {
  double value = 0;
  const char* end = text.data() + text.size();
  const auto result = std::from_chars(text.data(), end, value);
  // from_chars alone would take "inf", "nan" and a minus sign.
  if (text.empty() || !is_digit(text[0]) || result.ec != std::errc{} || result.ptr != end)
    return refuse("number", text, "a plain number of 0 or more is expected");
  return value;
}

Result<double> parse_share(std::string_view text) {
  const auto why = "a share is between 0% and 100%, as 1% or 0.01";
  Result<double> value = 0.0;
  if (text.ends_with('%')) {
    // Move the point in the text, not in the double, so that 0.05% is the double nearest to 0.0005.
    std::string moved(text.substr(0, text.size() - 1));
    int exponent = -2;
    if (const auto e = moved.find_first_of("eE"); e != std::string::npos) {
      int written = 0;
      const char* end = moved.data() + moved.size();
      const auto result = std::from_chars(moved.data() + e + 1, end, written);
      if (result.ec != std::errc{} || result.ptr != end || written < -400 || written > 400)
        return refuse("share", text, why);
      exponent += written;
      moved.resize(e);
    }
    value = parse_number(fmt::format("{}e{}", moved, exponent));
  } else {
    value = parse_number(text);
  }
  if (!value || !(*value <= 1)) return refuse("share", text, why);
  return value;
}

Result<std::uint64_t> parse_count(std::string_view text, std::uint64_t least, std::uint64_t most) {
  std::uint64_t value = 0;
  const char* end = text.data() + text.size();
  const auto result = std::from_chars(text.data(), end, value);
  if (text.empty() || result.ec != std::errc{} || result.ptr != end || value < least ||
      value > most)
    return refuse("count", text,
                  fmt::format("a whole number from {} to {} is expected", least, most));
  return value;
}

std::string to_text(Duration value) {
  if (value.count() == 0) return "0";
  const std::string sign = value.count() < 0 ? "-" : "";
  const auto raw = static_cast<std::uint64_t>(value.count());
  const std::uint64_t ns = value.count() < 0 ? 0 - raw : raw;  // right for the lowest value too
  for (const Unit& unit : kTimeUnits) {
    const bool decimal = unit.factor <= 1'000'000'000;  // 90s, not 1.5min; but 1.5s
    if (decimal ? ns >= unit.factor : ns % unit.factor == 0)
      return sign + decimal_text(ns, unit.factor) + std::string(unit.name);
  }
  return {};
}

std::string to_text(BytesPerSecond value) {
  const std::uint64_t bits = value.bits();
  for (std::size_t i = kBitUnits.size(); i-- > 0;)
    if (bits >= kBitUnits[i].factor)
      return decimal_text(bits, kBitUnits[i].factor) + std::string(kBitUnits[i].name);
  return "0bit";
}

std::string to_text(ByteCount value) {
  const std::uint64_t bytes = value.value();
  for (const std::string_view name : {"GiB", "MiB", "KiB"}) {
    const std::uint64_t factor = *factor_of(kSizeUnits, name);
    if (bytes >= factor && bytes % factor == 0) return fmt::format("{}{}", bytes / factor, name);
  }
  return fmt::format("{}B", bytes);
}

std::string number_text(double value) {
  return fmt::format("{}", value);
}

std::string share_text(double p) {
  const std::string percent = fmt::format("{:.12g}%", p * 100);
  const auto back = parse_share(percent);
  return back && *back == p ? percent : number_text(p);
}

}  // namespace netsim
