// ByteFifo: the bytes of one direction of one stream between read and write, in chunks that a
// ChunkPool lends. Nothing is copied here: readv() fills it, writev() drains it. Not thread-safe.
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <vector>

namespace netsim::relay {

inline constexpr std::size_t kChunkBytes = 64U << 10;

class ChunkPool {
 public:
  using Chunk = std::unique_ptr<std::byte[]>;
  Chunk take();
  void give(Chunk chunk);  // keeps the newest ones, so that a busy stream stays in the cache

 private:
  static constexpr std::size_t kKept = 256;
  std::vector<Chunk> free_;
};

class ByteFifo {
 public:
  explicit ByteFifo(ChunkPool& pool) : pool_(pool) {}
  ~ByteFifo() { pop(size_); }
  ByteFifo(const ByteFifo&) = delete;
  ByteFifo& operator=(const ByteFifo&) = delete;

  std::size_t size() const { return size_; }
  // Room for up to `bytes` behind what is there, as at most `out.size()` pieces; how many were set.
  std::size_t space(std::size_t bytes, std::span<iovec> out);
  void commit(std::size_t bytes);  // so many of the space were filled; the rest is given back
  std::size_t front(std::size_t bytes, std::span<iovec> out) const;
  void pop(std::size_t bytes);

 private:
  ChunkPool& pool_;
  std::deque<ChunkPool::Chunk> chunks_;
  std::size_t begin_ = 0, size_ = 0;  // within the first chunk; in all
};

}  // namespace netsim::relay
