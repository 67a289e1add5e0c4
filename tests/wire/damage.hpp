// Damage<T>: what any decoder must survive: every truncation, every flipped bit, every byte set to
// what lengths break on. Each damaged message is refused with a typed error, or is another message
// with exactly these bytes (canonical form).
#pragma once

#include <gtest/gtest.h>

#include "lib/wire/codec.hpp"

namespace longhaul::wire {

template <class T>
void expect_refused_or_canonical(Bytes damaged) {
  const auto decoded = decode<T>(damaged);
  if (decoded.has_value()) {
    EXPECT_EQ(to_hex(encode(*decoded)), to_hex(damaged));
  } else {
    const Kind kind = decoded.error().kind();
    EXPECT_TRUE(kind == Kind::kMalformed || kind == Kind::kLimit) << decoded.error().message();
  }
}

template <class T>
void expect_survives_damage(const T& message) {
  const ByteVector good = encode(message);
  const auto back = decode<T>(good);
  ASSERT_TRUE(back.has_value()) << back.error().message();
  EXPECT_EQ(to_hex(encode(*back)), to_hex(good));
  EXPECT_LE(size_range<T>().least, good.size());
  EXPECT_GE(size_range<T>().most, good.size());
  for (std::size_t size = 0; size < good.size(); ++size)
    EXPECT_FALSE(decode<T>(Bytes(good).first(size)).has_value()) << "cut at " << size;
  ByteVector longer = good;
  longer.push_back(std::byte{0});
  EXPECT_FALSE(decode<T>(longer).has_value());
  for (std::size_t bit = 0; bit < 8 * good.size(); ++bit) {
    ByteVector flipped = good;
    flipped[bit / 8] ^= std::byte{1} << (bit % 8);
    expect_refused_or_canonical<T>(flipped);
  }
  for (std::size_t at = 0; at < good.size(); ++at) {
    for (const unsigned value : {0x00U, 0x01U, 0x7fU, 0x80U, 0xffU}) {
      ByteVector changed = good;
      changed[at] = static_cast<std::byte>(value);
      expect_refused_or_canonical<T>(changed);
    }
    // A length of 2^64-1 and one of 2^64+1 put where any byte stood.
    for (const std::string_view huge : {"ffffffffffffffffff01", "8180808080808080808002"}) {
      ByteVector wrapped(good.begin(), good.begin() + static_cast<std::ptrdiff_t>(at));
      append(wrapped, from_hex(huge).value());
      append(wrapped, Bytes(good).subspan(at + 1));
      expect_refused_or_canonical<T>(wrapped);
    }
  }
}

}  // namespace longhaul::wire
