// CodecChooser: a ladder for each large file under way and one for all small files, fed with how
// the blocks before went. The first block of a kind is its own probe; a large file begins with what
// the one before it taught. A higher level is tried by one block at a time. A value of the
// session's strand.
#pragma once

#include <map>
#include <optional>

#include "compression/ladder.hpp"

namespace longhaul::transfer {

class CodecChooser {
 public:
  explicit CodecChooser(unsigned cores) : cores_(cores) {}
  struct Needs {
    bool at_once = false;  // somebody waits: nothing is tried that may be slow
    bool cores_are_busy = false;
  };
  struct Chosen {
    compression::Rung rung;
    bool is_trial = false;  // of a higher level: ten times as slow as others, maybe
  };
  Chosen choose(std::uint32_t row, std::uint64_t file_bytes, BytesPerSecond link, Needs needs);
  // The block that was to be encoded so never was.
  void on_lost(std::uint32_t row, compression::Rung rung);
  void on_measured(std::uint32_t row, std::uint64_t file_bytes,
                   const compression::Measured& measured);

  // CPU time of a core where nobody measured it, from the figures of docs/compression.md.
  static Duration nominal_cpu(compression::Rung rung, std::uint64_t in_bytes);

 private:
  static constexpr std::uint64_t kLargeFile = 1U << 20;
  static constexpr std::size_t kLaddersMax = 64;  // that of the file longest unasked for goes
  static constexpr std::uint32_t kSmall = 0xffffffff;
  struct Kind {
    compression::Ladder ladder;
    std::optional<compression::Rung> trial{};  // out
    std::uint64_t asked = 0;                   // of asked_: when last
  };
  Kind& kind_of(std::uint32_t row, std::uint64_t file_bytes);
  unsigned cores_;
  std::map<std::uint32_t, Kind> kinds_;
  std::uint64_t asked_ = 0;
  std::uint32_t last_large_ = kSmall;  // of which a block was measured; kSmall: none
};

}  // namespace longhaul::transfer
