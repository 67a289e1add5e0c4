// GrowingBytes: bytes in one run that grows at its end. Unlike a vector it is never in memory twice
// while it does: realloc() moves the pages of a large one, not their content. Move-only; growing
// invalidates bytes().
#pragma once

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <utility>

#include "lib/base/assert.hpp"
#include "lib/base/bytes.hpp"
#include "lib/base/out_of_memory.hpp"

namespace longhaul {

class GrowingBytes {
 public:
  GrowingBytes() = default;
  static GrowingBytes copy_of(Bytes bytes) {
    GrowingBytes copy;
    copy.append(bytes);
    return copy;
  }
  GrowingBytes(GrowingBytes&& other) noexcept
      : data_(std::move(other.data_)),
        size_(std::exchange(other.size_, 0)),
        capacity_(std::exchange(other.capacity_, 0)) {}
  GrowingBytes& operator=(GrowingBytes&& other) noexcept {
    data_ = std::move(other.data_);
    size_ = std::exchange(other.size_, 0);
    capacity_ = std::exchange(other.capacity_, 0);
    return *this;
  }

  std::size_t size() const { return size_; }
  Bytes bytes() const { return {data_.get(), size_}; }
  MutableBytes writable() { return {data_.get(), size_}; }
  void append(Bytes more) {
    if (more.empty()) return;
    std::copy(more.begin(), more.end(), extend(more.size()).begin());
  }
  // So many more bytes, to be written by the caller.
  MutableBytes extend(std::size_t count) {
    if (count > capacity_ - size_) grow(count);
    size_ += count;
    return writable().last(count);
  }
  // Gives back what was kept for growing on.
  void fit() {
    if (size_ > 0 && size_ < capacity_) reserve(size_);
  }

 private:
  struct Free {
    void operator()(std::byte* data) const noexcept { std::free(data); }
  };
  void grow(std::size_t count) {
    // By a quarter: pages that are not touched cost nothing, but those below a page's size do.
    reserve(size_ + size_ / 4 + count + kLeast);
  }
  void reserve(std::size_t capacity) {
    void* moved = std::realloc(data_.get(), capacity);
    if (moved == nullptr) out_of_memory();
    static_cast<void>(data_.release());
    data_.reset(static_cast<std::byte*>(moved));
    capacity_ = capacity;
  }

  static constexpr std::size_t kLeast = 256;
  std::unique_ptr<std::byte, Free> data_;
  std::size_t size_ = 0;
  std::size_t capacity_ = 0;
};

}  // namespace longhaul
