// Where to cut bytes so that an edit moves only the cuts near it (after FastCDC: Xia et al., ATC
// 2016 and TPDS 2020). A gear hash covers the last 64 bytes; a chunk ends at the first length in
// [min, max) whose hash lies below a threshold: a rare one up to `normal`, an easy one behind it,
// so that sizes gather around 64 KiB. Cuts depend on content alone: not on how the bytes were fed,
// the compiler or the machine. They name chunks on disk and on the wire for ever; the golden test
// fails when one moves.
//
//   Chunker chunker;
//   while (read(span)) chunker.feed(span, cuts);   // appends the offset behind each finished chunk
//   chunker.finish(cuts);                          // the last chunk, if any byte is left
//
// A value; one thread at a time. `cuts` grows by one entry for at least min bytes.
#pragma once

#include <cstdint>
#include <vector>

#include "lib/base/bytes.hpp"

namespace longhaul::compression {

inline constexpr std::size_t kMinChunkBytes = 16U << 10;
inline constexpr std::size_t kAverageChunkBytes = 64U << 10;  // what the three others come to
inline constexpr std::size_t kMaxChunkBytes = 256U << 10;

class Chunker {
 public:
  // Appends to `cuts` the offset behind every chunk that ends within `more`, counted from the first
  // byte ever fed.
  void feed(Bytes more, std::vector<std::uint64_t>& cuts);
  // Ends the last chunk, which alone may be shorter than min; then starts again at offset 0.
  void finish(std::vector<std::uint64_t>& cuts);

  std::uint64_t offset() const { return chunk_start_ + length_; }  // bytes fed so far

 private:
  // Takes bytes of the chunk under way; true if the last byte taken ends it.
  bool advance(Bytes more, std::size_t& taken);

  std::uint64_t chunk_start_ = 0;
  std::uint64_t hash_ = 0;  // of the chunk's last bytes, 64 at most
  std::size_t length_ = 0;  // of the chunk under way; below kMaxChunkBytes between calls
};

// The cuts of a whole file that lies in memory; empty for no bytes, else the last is
// `whole.size()`.
std::vector<std::uint64_t> cut_offsets(Bytes whole);

}  // namespace longhaul::compression
