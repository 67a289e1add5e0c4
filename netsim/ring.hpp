// Ring: a FIFO that doubles when full and never shrinks, so that a link allocates nothing after
// warm-up. Values are small and trivially copyable. Not thread-safe.
#pragma once

#include <cstddef>
#include <type_traits>
#include <vector>

#include "lib/base/assert.hpp"

namespace netsim {

template <class T>
class Ring {
  static_assert(std::is_trivially_copyable_v<T>);

 public:
  bool empty() const { return size_ == 0; }
  std::size_t size() const { return size_; }
  T& front() {
    ASSERT(size_ > 0);
    return slots_[head_];
  }
  const T& front() const {
    ASSERT(size_ > 0);
    return slots_[head_];
  }
  const T& back() const {
    ASSERT(size_ > 0);
    return slots_[(head_ + size_ - 1) & mask()];
  }
  const T& operator[](std::size_t i) const {
    ASSERT(i < size_);
    return slots_[(head_ + i) & mask()];
  }
  T& operator[](std::size_t i) {
    ASSERT(i < size_);
    return slots_[(head_ + i) & mask()];
  }
  void push(const T& value) {
    if (size_ == slots_.size()) grow();
    slots_[(head_ + size_) & mask()] = value;
    ++size_;
  }
  T pop() {
    const T value = front();
    head_ = (head_ + 1) & mask();
    --size_;
    return value;
  }
  void truncate(std::size_t size) {  // forget all but the oldest `size`
    ASSERT(size <= size_);
    size_ = size;
  }
  void clear() { size_ = 0; }

 private:
  std::size_t mask() const { return slots_.size() - 1; }
  void grow() {
    std::vector<T> wider(slots_.empty() ? 16 : slots_.size() * 2);
    for (std::size_t i = 0; i < size_; ++i) wider[i] = (*this)[i];
    slots_.swap(wider);
    head_ = 0;
  }
  std::vector<T> slots_;  // a power of two, or empty
  std::size_t head_ = 0, size_ = 0;
};

}  // namespace netsim
