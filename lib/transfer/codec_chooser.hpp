// CodecChooser: a ladder for each large file under way and one for all small files, fed with how
// the blocks before went. The first block of a kind is its own probe. A value of the session's
// strand.
#pragma once

#include <map>

#include "compression/ladder.hpp"

namespace longhaul::transfer {

class CodecChooser {
 public:
  explicit CodecChooser(unsigned cores) : cores_(cores) {}
  compression::Rung choose(std::uint32_t row, std::uint64_t file_bytes, BytesPerSecond link);
  void on_measured(std::uint32_t row, std::uint64_t file_bytes,
                   const compression::Measured& measured);

  // CPU time of a core where nobody measured it, from the figures of docs/compression.md.
  static Duration nominal_cpu(compression::Rung rung, std::uint64_t in_bytes);

 private:
  static constexpr std::uint64_t kLargeFile = 1U << 20;
  static constexpr std::size_t kLaddersMax = 64;  // the oldest file's goes
  static constexpr std::uint32_t kSmall = 0xffffffff;
  compression::Ladder& ladder_of(std::uint32_t row, std::uint64_t file_bytes);
  unsigned cores_;
  std::map<std::uint32_t, compression::Ladder> ladders_;
};

}  // namespace longhaul::transfer
