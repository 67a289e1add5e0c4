// Ring: a FIFO that doubles when full and never shrinks, so that what uses one allocates nothing
// after warm-up. A value popped or cleared is gone at once (its slot holds a default value). Not
// thread-safe.
#pragma once

#include <cstddef>
#include <utility>
#include <vector>

#include "lib/base/assert.hpp"

namespace longhaul {

template <class T>
class Ring {
 public:
  bool empty() const { return size_ == 0; }
  std::size_t size() const { return size_; }
  T& operator[](std::size_t i) {  // 0 is the oldest
    ASSERT(i < size_);
    return slots_[(head_ + i) & mask()];
  }
  const T& operator[](std::size_t i) const {
    ASSERT(i < size_);
    return slots_[(head_ + i) & mask()];
  }
  T& front() { return (*this)[0]; }
  const T& front() const { return (*this)[0]; }
  T& back() { return (*this)[size_ - 1]; }
  const T& back() const { return (*this)[size_ - 1]; }

  void push(T value) {
    if (size_ == slots_.size()) grow();
    slots_[(head_ + size_) & mask()] = std::move(value);
    ++size_;
  }
  void push_front(T value) {
    if (size_ == slots_.size()) grow();
    head_ = (head_ + mask()) & mask();
    slots_[head_] = std::move(value);
    ++size_;
  }
  T pop() {
    T value = std::exchange(front(), T{});
    head_ = (head_ + 1) & mask();
    --size_;
    return value;
  }
  void clear() {
    while (!empty()) pop();
  }

 private:
  std::size_t mask() const { return slots_.size() - 1; }
  void grow() {
    std::vector<T> wider(slots_.empty() ? 16 : slots_.size() * 2);
    for (std::size_t i = 0; i < size_; ++i) wider[i] = std::move((*this)[i]);
    slots_.swap(wider);
    head_ = 0;
  }
  std::vector<T> slots_;  // a power of two, or empty
  std::size_t head_ = 0, size_ = 0;
};

}  // namespace longhaul
