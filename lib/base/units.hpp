// Units as types. Time is logical: nanoseconds since an epoch that only its giver knows. Nothing
// here can read a clock; cores get `now` as an argument.
#pragma once

#include <chrono>
#include <compare>
#include <cstdint>
#include <limits>

#include "lib/base/assert.hpp"

namespace longhaul {

using Duration = std::chrono::nanoseconds;
struct LogicalClock {  // a tag, without now(): there is no way to ask it the time
  using rep = Duration::rep;
  using period = Duration::period;
  using duration = Duration;
  using time_point = std::chrono::time_point<LogicalClock, Duration>;
  static constexpr bool is_steady = true;
};
using Time = LogicalClock::time_point;
// Seconds since 1970, for what people read and for file times; never for deadlines.
struct WallTime {
  std::int64_t ns = 0;
  auto operator<=>(const WallTime&) const = default;
};

using namespace std::chrono_literals;  // 150ms, 20us: part of the vocabulary

class ByteCount {
 public:
  constexpr ByteCount() = default;
  constexpr explicit ByteCount(std::uint64_t bytes) : bytes_(bytes) {}
  constexpr std::uint64_t value() const { return bytes_; }
  constexpr auto operator<=>(const ByteCount&) const = default;
  constexpr ByteCount& operator+=(ByteCount other) {
    ASSERT(other.bytes_ <= std::numeric_limits<std::uint64_t>::max() - bytes_);
    bytes_ += other.bytes_;
    return *this;
  }
  constexpr ByteCount& operator-=(ByteCount other) {  // below zero is a bug
    ASSERT(other.bytes_ <= bytes_);
    bytes_ -= other.bytes_;
    return *this;
  }
  friend constexpr ByteCount operator+(ByteCount a, ByteCount b) { return a += b; }
  friend constexpr ByteCount operator-(ByteCount a, ByteCount b) { return a -= b; }

 private:
  std::uint64_t bytes_ = 0;
};
constexpr ByteCount operator""_B(unsigned long long n) {
  return ByteCount(n);
}
constexpr ByteCount operator""_KiB(unsigned long long n) {
  return ByteCount(n << 10);
}
constexpr ByteCount operator""_MiB(unsigned long long n) {
  return ByteCount(n << 20);
}

class BytesPerSecond {
 public:
  constexpr BytesPerSecond() = default;
  constexpr explicit BytesPerSecond(std::uint64_t rate) : rate_(rate) {}
  static constexpr BytesPerSecond from_bits(std::uint64_t bits_per_second) {
    return BytesPerSecond(bits_per_second / 8);
  }
  constexpr std::uint64_t value() const { return rate_; }
  constexpr std::uint64_t bits() const { return rate_ * 8; }
  constexpr auto operator<=>(const BytesPerSecond&) const = default;

  // Time to send `bytes`, rounded up to the nanosecond; the rate must not be zero.
  constexpr Duration time_for(ByteCount bytes) const {
    ASSERT(rate_ > 0);
    const Wide ns = (Wide{bytes.value()} * 1'000'000'000U + rate_ - 1) / rate_;
    const Wide top = static_cast<Wide>(std::numeric_limits<std::int64_t>::max());
    return Duration(static_cast<std::int64_t>(ns < top ? ns : top));
  }
  // Whole bytes that pass in `span`, rounded down; zero for a negative span.
  constexpr ByteCount bytes_in(Duration span) const {
    if (span.count() <= 0) return ByteCount(0);
    const Wide bytes = Wide{rate_} * static_cast<std::uint64_t>(span.count()) / 1'000'000'000U;
    const Wide top = static_cast<Wide>(std::numeric_limits<std::uint64_t>::max());
    return ByteCount(static_cast<std::uint64_t>(bytes < top ? bytes : top));
  }

 private:
  __extension__ using Wide = unsigned __int128;
  std::uint64_t rate_ = 0;
};

}  // namespace longhaul
