// Slice: a range of a shared immutable buffer. It is what crosses cores, lanes, jobs and threads;
// copying one copies a pointer. A Buffer is written by one owner, then frozen into a Slice for
// good. Buffers come from a BufferPool on hot paths, so that after warm-up nothing is allocated;
// the pool must outlive its buffers.
//
//   Buffer buffer = pool.take(2048);
//   write(buffer.bytes());
//   Slice whole = std::move(buffer).freeze(1400);   // the first 1400 bytes
//   Slice body = whole.from(20);
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <utility>

#include "lib/base/bytes.hpp"

namespace longhaul {

class BufferPool;

namespace detail {
struct Block {  // the bytes follow in the same allocation
  std::atomic<std::uint32_t> references{1};
  BufferPool* home = nullptr;
  Block* next_free = nullptr;
  std::size_t capacity = 0;
  std::byte* data() { return reinterpret_cast<std::byte*>(this + 1); }
};
Block* new_block(std::size_t capacity);
void release(Block* block) noexcept;
}  // namespace detail

class Slice {
 public:
  Slice() = default;
  static Slice copy_of(Bytes bytes);
  static Slice copy_of(std::string_view text) { return copy_of(bytes_of(text)); }
  Slice(const Slice& other) noexcept;
  Slice(Slice&& other) noexcept
      : block_(std::exchange(other.block_, nullptr)), bytes_(std::exchange(other.bytes_, {})) {}
  Slice& operator=(Slice other) noexcept {
    std::swap(block_, other.block_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  ~Slice() {
    if (block_ != nullptr) detail::release(block_);
  }

  Bytes bytes() const { return bytes_; }  // valid while any Slice of this buffer lives
  const std::byte* data() const { return bytes_.data(); }
  std::size_t size() const { return bytes_.size(); }
  bool empty() const { return bytes_.empty(); }
  Slice part(std::size_t offset, std::size_t length) const;  // must lie within
  Slice from(std::size_t offset) const { return part(offset, size() - offset); }
  Slice first(std::size_t length) const { return part(0, length); }

 private:
  friend class Buffer;
  Slice(detail::Block* block, Bytes bytes) : block_(block), bytes_(bytes) {}
  detail::Block* block_ = nullptr;
  Bytes bytes_;
};

class Buffer {  // move-only, exclusive, writable
 public:
  Buffer() = default;
  explicit Buffer(std::size_t capacity) : block_(detail::new_block(capacity)) {}
  Buffer(Buffer&& other) noexcept : block_(std::exchange(other.block_, nullptr)) {}
  Buffer& operator=(Buffer&& other) noexcept {
    std::swap(block_, other.block_);
    return *this;
  }
  ~Buffer() {
    if (block_ != nullptr) detail::release(block_);
  }
  MutableBytes bytes() {
    return block_ == nullptr ? MutableBytes{} : MutableBytes{block_->data(), block_->capacity};
  }
  Slice freeze(std::size_t length) &&;  // the first `length` bytes; the Buffer is then empty

 private:
  friend class BufferPool;
  explicit Buffer(detail::Block* block) : block_(block) {}
  detail::Block* block_ = nullptr;
};

// Free lists by power of two, 512 B to 8 MiB; larger ones go straight to the heap. Thread-safe:
// buffers are filled on one thread and dropped on another. `kept_bytes` bounds what lies idle.
class BufferPool {
 public:
  explicit BufferPool(std::size_t kept_bytes = 64U << 20) : kept_bytes_max_(kept_bytes) {}
  ~BufferPool();
  BufferPool(const BufferPool&) = delete;
  BufferPool& operator=(const BufferPool&) = delete;
  Buffer take(std::size_t capacity);  // at least this many bytes
  std::size_t lent() const { return lent_.load(std::memory_order_relaxed); }

 private:
  friend void detail::release(detail::Block* block) noexcept;
  static constexpr unsigned kSmallest = 9, kLargest = 23;  // log2 of the size classes
  void give_back(detail::Block* block) noexcept;
  const std::size_t kept_bytes_max_;
  std::atomic<std::size_t> lent_{0};
  std::mutex mutex_;  // guards the two below; held for a few instructions
  std::array<detail::Block*, kLargest + 1> free_{};
  std::size_t kept_bytes_ = 0;
};

}  // namespace longhaul
