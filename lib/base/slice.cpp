#include "lib/base/slice.hpp"

#include <algorithm>
#include <bit>
#include <new>

namespace longhaul {
namespace detail {

Block* new_block(std::size_t capacity) {
  void* place = ::operator new(sizeof(Block) + capacity);
  Block* block = ::new (place) Block;
  block->capacity = capacity;
  return block;
}

namespace {
void destroy(Block* block) noexcept {
  block->~Block();
  ::operator delete(block);
}
}  // namespace

void release(Block* block) noexcept {
  // acq_rel: whoever reuses the bytes must see every reader done.
  if (block->references.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  if (block->home != nullptr) {
    block->home->give_back(block);
  } else {
    destroy(block);
  }
}

}  // namespace detail

Slice::Slice(const Slice& other) noexcept : block_(other.block_), bytes_(other.bytes_) {
  if (block_ != nullptr) block_->references.fetch_add(1, std::memory_order_relaxed);
}

Slice Slice::copy_of(Bytes bytes) {
  if (bytes.empty()) return {};
  Buffer buffer(bytes.size());
  std::memcpy(buffer.bytes().data(), bytes.data(), bytes.size());
  return std::move(buffer).freeze(bytes.size());
}

Slice Slice::part(std::size_t offset, std::size_t length) const {
  ASSERT(offset <= size() && length <= size() - offset);
  Slice copy = *this;
  copy.bytes_ = bytes_.subspan(offset, length);
  return copy;
}

Slice Buffer::freeze(std::size_t length) && {
  ASSERT(length <= bytes().size());
  const Bytes written = bytes().first(length);
  return Slice(std::exchange(block_, nullptr), written);
}

Buffer BufferPool::take(std::size_t capacity) {
  const unsigned bits =
      std::max(kSmallest, static_cast<unsigned>(std::bit_width(capacity > 0 ? capacity - 1 : 0)));
  detail::Block* block = nullptr;
  if (bits <= kLargest) {
    const std::lock_guard lock(mutex_);
    block = free_[bits];
    if (block != nullptr) {
      free_[bits] = block->next_free;
      kept_bytes_ -= block->capacity;
    }
  }
  if (block == nullptr) {
    block = detail::new_block(bits <= kLargest ? std::size_t{1} << bits : capacity);
    block->home = this;
  } else {
    block->references.store(1, std::memory_order_relaxed);
  }
  lent_.fetch_add(1, std::memory_order_relaxed);
  return Buffer(block);
}

void BufferPool::give_back(detail::Block* block) noexcept {
  lent_.fetch_sub(1, std::memory_order_relaxed);
  const auto bits = static_cast<unsigned>(std::bit_width(block->capacity - 1));
  if (std::has_single_bit(block->capacity) && bits <= kLargest) {
    const std::lock_guard lock(mutex_);
    if (kept_bytes_ + block->capacity <= kept_bytes_max_) {
      block->next_free = free_[bits];
      free_[bits] = block;
      kept_bytes_ += block->capacity;
      return;
    }
  }
  detail::destroy(block);
}

BufferPool::~BufferPool() {
  ASSERT(lent() == 0);  // a Slice outlived its pool
  for (detail::Block* block : free_) {
    while (block != nullptr) detail::destroy(std::exchange(block, block->next_free));
  }
}

}  // namespace longhaul
