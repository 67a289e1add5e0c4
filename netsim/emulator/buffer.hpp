// Buffer: owned bytes that can be cut to what was read into them, so that a packet in flight costs
// its own size and not that of the largest read.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <memory>
#include <new>

#include "lib/base/bytes.hpp"

namespace netsim::emulator {

class Buffer {
 public:
  Buffer() = default;
  explicit Buffer(std::size_t bytes) : data_(static_cast<std::byte*>(std::malloc(bytes))) {
    if (!data_) throw std::bad_alloc();
  }
  void cut(std::size_t bytes) {  // keeps the first `bytes` of it
    void* smaller = std::realloc(data_.get(), bytes);
    if (smaller == nullptr) return;  // the larger block stays
    (void)data_.release();
    data_.reset(static_cast<std::byte*>(smaller));
  }
  std::byte* data() const { return data_.get(); }
  explicit operator bool() const { return data_ != nullptr; }

 private:
  struct Free {
    void operator()(std::byte* p) const { std::free(p); }
  };
  std::unique_ptr<std::byte, Free> data_;
};

}  // namespace netsim::emulator
