#include "lib/wire/bounded.hpp"

#include <bit>

namespace longhaul::wire {
namespace {
std::byte mask(std::size_t index) {
  return std::byte{1} << (index % 8);
}
}  // namespace

Bits::Bits(std::size_t size, bool value)
    : size_(size), bytes_((size + 7) / 8, value ? std::byte{0xff} : std::byte{0}) {
  if (value && size % 8 != 0) bytes_.back() = static_cast<std::byte>((1U << (size % 8)) - 1);
}

bool Bits::test(std::size_t index) const {
  ASSERT(index < size_);
  return (bytes_[index / 8] & mask(index)) != std::byte{0};
}

void Bits::set(std::size_t index, bool value) {
  ASSERT(index < size_);
  std::byte& byte = bytes_[index / 8];
  byte = value ? (byte | mask(index)) : (byte & ~mask(index));
}

std::size_t Bits::count() const {
  std::size_t total = 0;
  for (const std::byte byte : bytes_)
    total += static_cast<std::size_t>(std::popcount(std::to_integer<unsigned>(byte)));
  return total;
}

std::size_t Bits::next_set(std::size_t from) const {
  while (from < size_) {
    const unsigned rest = std::to_integer<unsigned>(bytes_[from / 8]) >> (from % 8);
    if (rest != 0) return from + static_cast<std::size_t>(std::countr_zero(rest));
    from = (from / 8 + 1) * 8;
  }
  return size_;
}

}  // namespace longhaul::wire
