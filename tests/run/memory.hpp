// Zeroed, aligned memory for what lies in a shared mapping when it is real.
#pragma once

#include <cstdlib>
#include <memory>

#include "lib/base/bytes.hpp"

namespace longhaul::run {

class Memory {
 public:
  explicit Memory(std::size_t bytes)
      : size_((bytes + 63) / 64 * 64),
        data_(static_cast<std::byte*>(std::aligned_alloc(64, size_))) {
    std::fill_n(data_.get(), size_, std::byte{0});
  }
  MutableBytes bytes() { return {data_.get(), size_}; }

 private:
  struct Free {
    void operator()(std::byte* data) const { std::free(data); }
  };
  std::size_t size_;
  std::unique_ptr<std::byte, Free> data_;
};

}  // namespace longhaul::run
