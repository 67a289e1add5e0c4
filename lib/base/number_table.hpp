// NumberTable: finds numbers by what they stand for, at 5 to 10 bytes each, since it holds nothing
// but the numbers: what they stand for lies at its owner, who compares. Only looked up, never
// walked. Not thread-safe.
//
//   table.add(hash(name), no, [&](std::uint32_t n) { return hash(names[n]); });
//   auto no = table.find(hash(name), [&](std::uint32_t n) { return names[n] == name; });
#pragma once

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "lib/base/assert.hpp"

namespace longhaul {

class NumberTable {
 public:
  // The first number added under this hash for which `is` holds.
  template <class Is>
  std::optional<std::uint32_t> find(std::uint64_t hash, const Is& is) const {
    if (slots_.empty()) return std::nullopt;
    for (std::size_t at = home(hash); slots_[at] != kNone; at = (at + 1) & (slots_.size() - 1))
      if (is(slots_[at])) return slots_[at];
    return std::nullopt;
  }
  // hash_of(number): the hash that an earlier one was added with; asked when the table grows.
  template <class HashOf>
  void add(std::uint64_t hash, std::uint32_t number, const HashOf& hash_of) {
    ASSERT(number != kNone);
    if (size_ + 1 > slots_.size() / 4 * 3) grow(hash_of);
    put(hash, number);
    ++size_;
  }
  std::size_t size() const { return size_; }
  void clear() {
    slots_ = {};
    size_ = 0;
  }

 private:
  static constexpr std::uint32_t kNone = ~0U;
  static constexpr std::uint64_t kGolden = 0x9e3779b97f4a7c15U;  // spreads what is no good hash
  static constexpr std::size_t kFirstSlots = 64;

  std::size_t home(std::uint64_t hash) const {
    return static_cast<std::size_t>((hash * kGolden) >> 32) & (slots_.size() - 1);
  }
  void put(std::uint64_t hash, std::uint32_t number) {
    std::size_t at = home(hash);
    while (slots_[at] != kNone) at = (at + 1) & (slots_.size() - 1);
    slots_[at] = number;
  }
  template <class HashOf>
  void grow(const HashOf& hash_of) {
    const std::vector<std::uint32_t> old = std::exchange(slots_, {});
    slots_.assign(old.empty() ? kFirstSlots : 2 * old.size(), kNone);
    for (const std::uint32_t number : old)
      if (number != kNone) put(hash_of(number), number);
  }

  std::vector<std::uint32_t> slots_;  // a power of two of them, at most three quarters taken
  std::size_t size_ = 0;
};

}  // namespace longhaul
