#include "netsim/relay/byte_fifo.hpp"

#include <algorithm>

#include "lib/base/assert.hpp"

namespace netsim::relay {

ChunkPool::Chunk ChunkPool::take() {
  if (free_.empty()) return Chunk(new std::byte[kChunkBytes]);  // not zeroed: it is read into
  Chunk out = std::move(free_.back());
  free_.pop_back();
  return out;
}

void ChunkPool::give(Chunk chunk) {
  if (free_.size() < kKept) free_.push_back(std::move(chunk));
}

std::size_t ByteFifo::space(std::size_t bytes, std::span<iovec> out) {
  std::size_t used = 0, at = begin_ + size_;
  while (bytes > 0 && used < out.size()) {
    if (at / kChunkBytes == chunks_.size()) chunks_.push_back(pool_.take());
    const std::size_t within = at % kChunkBytes;
    const std::size_t piece = std::min(bytes, kChunkBytes - within);
    out[used++] = iovec{chunks_[at / kChunkBytes].get() + within, piece};
    bytes -= piece;
    at += piece;
  }
  return used;
}

void ByteFifo::commit(std::size_t bytes) {
  size_ += bytes;
  const std::size_t needed = (begin_ + size_ + kChunkBytes - 1) / kChunkBytes;
  ASSERT(needed <= chunks_.size());
  while (chunks_.size() > needed) {
    pool_.give(std::move(chunks_.back()));
    chunks_.pop_back();
  }
}

std::size_t ByteFifo::front(std::size_t bytes, std::span<iovec> out) const {
  bytes = std::min(bytes, size_);
  std::size_t used = 0, at = begin_;
  while (bytes > 0 && used < out.size()) {
    const std::size_t within = at % kChunkBytes;
    const std::size_t piece = std::min(bytes, kChunkBytes - within);
    out[used++] = iovec{chunks_[at / kChunkBytes].get() + within, piece};
    bytes -= piece;
    at += piece;
  }
  return used;
}

void ByteFifo::pop(std::size_t bytes) {
  ASSERT(bytes <= size_);
  size_ -= bytes;
  begin_ += bytes;
  while (begin_ >= kChunkBytes || (size_ == 0 && !chunks_.empty())) {
    pool_.give(std::move(chunks_.front()));
    chunks_.pop_front();
    begin_ = size_ == 0 && chunks_.empty() ? 0 : begin_ - std::min(begin_, kChunkBytes);
  }
}

}  // namespace netsim::relay
