#include "lib/cli/human.hpp"

#include <fmt/format.h>

#include <array>
#include <cmath>
#include <limits>

#include "lib/base/escape.hpp"
#include "lib/base/read_number.hpp"

namespace longhaul::cli {
namespace {

struct Unit {
  std::string_view name;
  double factor;
};

std::string scaled(double value, std::string_view tail) {
  static constexpr std::array kSteps{"", "k", "M", "G", "T", "P", "E"};
  std::size_t step = 0;
  while (value >= 999.95 && step + 1 < kSteps.size()) {
    value /= 1000;
    ++step;
  }
  if (step == 0) return fmt::format("{:.0f} {}", value, tail);
  return fmt::format("{:.1f} {}{}", value, kSteps.at(step), tail);
}

// A decimal number and one of `units`; case matters not. Result in the units' base.
template <std::size_t N>
Result<double> parse(std::string_view text, const std::array<Unit, N>& units, const char* example) {
  const auto refuse = [&] {
    return fail(Kind::kUsage, "read '" + printable(text, 40) + "'",
                std::string("write it like ") + example);
  };
  const NumberRead read = read_number(text);
  const double value = read.value;
  if (read.length == 0 || !std::isfinite(value) || value < 0) return refuse();
  std::string tail;
  for (const char c : text.substr(read.length)) {
    if (c == ' ' && tail.empty()) continue;
    tail.push_back(c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c);
  }
  for (const Unit& unit : units) {
    if (unit.name == tail) return value * unit.factor;
  }
  return refuse();
}

constexpr double kKi = 1024, kMi = kKi * 1024, kGi = kMi * 1024, kTi = kGi * 1024;

Result<std::uint64_t> whole(double value, std::string_view text) {
  if (value >= 0x1p63)
    return fail(Kind::kUsage, "read '" + printable(text, 40) + "'", "it is too large");
  return static_cast<std::uint64_t>(std::llround(value));
}

}  // namespace

std::string human(ByteCount bytes) {
  return scaled(static_cast<double>(bytes.value()), "B");
}
std::string human(BytesPerSecond rate) {
  return scaled(static_cast<double>(rate.value()), "B/s");
}

std::string human(Duration span) {
  const double seconds = static_cast<double>(span.count()) / 1e9;
  if (seconds < 0.9995) return fmt::format("{:.0f} ms", seconds * 1e3);
  if (seconds < 59.95) return fmt::format("{:.1f} s", seconds);
  const auto total = static_cast<long long>(std::llround(seconds));
  if (total < 3600) return fmt::format("{}m{:02}s", total / 60, total % 60);
  if (total < 86'400) return fmt::format("{}h{:02}m", total / 3600, total % 3600 / 60);
  return fmt::format("{}d{:02}h", total / 86'400, total % 86'400 / 3600);
}

Result<ByteCount> parse_size(std::string_view text) {
  static constexpr std::array<Unit, 11> kUnits{{{"", 1},
                                                {"b", 1},
                                                {"k", 1e3},
                                                {"kb", 1e3},
                                                {"mb", 1e6},
                                                {"gb", 1e9},
                                                {"tb", 1e12},
                                                {"kib", kKi},
                                                {"mib", kMi},
                                                {"gib", kGi},
                                                {"tib", kTi}}};
  const double value = TRY(parse(text, kUnits, "500MB or 64KiB"));
  return ByteCount(TRY(whole(value, text)));
}

Result<BytesPerSecond> parse_rate(std::string_view text) {
  static constexpr std::array<Unit, 12> kUnits{{{"b/s", 1},
                                                {"kb/s", 1e3},
                                                {"mb/s", 1e6},
                                                {"gb/s", 1e9},
                                                {"kib/s", kKi},
                                                {"mib/s", kMi},
                                                {"gib/s", kGi},
                                                {"bit", 0.125},
                                                {"kbit", 125},
                                                {"mbit", 125e3},
                                                {"gbit", 125e6},
                                                {"mbit/s", 125e3}}};
  const double value = TRY(parse(text, kUnits, "10MB/s or 100mbit"));
  const std::uint64_t rate = TRY(whole(value, text));
  if (rate == 0)
    return fail(Kind::kUsage, "read '" + printable(text, 40) + "'", "a rate of zero never ends");
  return BytesPerSecond(rate);
}

Result<Duration> parse_duration(std::string_view text) {
  static constexpr std::array<Unit, 8> kUnits{{{"ns", 1},
                                               {"us", 1e3},
                                               {"ms", 1e6},
                                               {"s", 1e9},
                                               {"m", 60e9},
                                               {"min", 60e9},
                                               {"h", 3600e9},
                                               {"d", 86'400e9}}};
  const double value = TRY(parse(text, kUnits, "250ms or 10min"));
  return Duration(static_cast<std::int64_t>(TRY(whole(value, text))));
}

}  // namespace longhaul::cli
