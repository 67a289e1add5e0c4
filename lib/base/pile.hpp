// Pile: a sequence that only grows, block by block: nothing moves when it does, so a million
// elements never stand in memory twice, and a reference stays good. TextPile: the same for texts,
// each found again by its place and length. Not thread-safe; what is in them may be read while
// nothing is added.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "lib/base/assert.hpp"

namespace longhaul {

template <class T>
class Pile {
 public:
  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  T& operator[](std::size_t i) {
    ASSERT(i < size_);
    return blocks_[i / kBlock][i % kBlock];
  }
  const T& operator[](std::size_t i) const {
    ASSERT(i < size_);
    return blocks_[i / kBlock][i % kBlock];
  }
  T& back() { return (*this)[size_ - 1]; }
  void push_back(T value) {
    if (size_ % kBlock == 0) blocks_.push_back(std::make_unique<T[]>(kBlock));
    ++size_;
    back() = std::move(value);
  }
  void clear() {
    blocks_.clear();
    size_ = 0;
  }

 private:
  static constexpr std::size_t kBlock = 1024;
  std::vector<std::unique_ptr<T[]>> blocks_;
  std::size_t size_ = 0;
};

class TextPile {
 public:
  static constexpr std::size_t kTextMax = 1U << 16;
  // Where it lies from now on. At most kTextMax bytes.
  std::uint64_t add(std::string_view text) {
    ASSERT(text.size() <= kTextMax);
    const bool fits = end_ % kTextMax + text.size() <= kTextMax;
    if (!fits) end_ = blocks_.size() * std::uint64_t{kTextMax};
    if (end_ == blocks_.size() * std::uint64_t{kTextMax})
      blocks_.emplace_back(new char[kTextMax]);  // unset; libc++ 14 has no function for it
    const std::uint64_t at = end_;
    std::copy(text.begin(), text.end(), blocks_.back().get() + at % kTextMax);
    end_ += text.size();
    return at;
  }
  std::string_view at(std::uint64_t place, std::size_t length) const {
    ASSERT(place % kTextMax + length <= kTextMax && place + length <= end_);
    return {blocks_[static_cast<std::size_t>(place / kTextMax)].get() + place % kTextMax, length};
  }

 private:
  std::vector<std::unique_ptr<char[]>> blocks_;
  std::uint64_t end_ = 0;
};

}  // namespace longhaul
