// Checksum: 64 bits that tell a torn or rotten file from a whole one. Not a defence against people:
// what comes from a peer is checked by its SHA-256 before it gets here. Four multiply-and-rotate
// lanes over 32-byte blocks, so that it keeps up with a disk.
#pragma once

#include <array>
#include <cstdint>

#include "lib/base/bytes.hpp"

namespace longhaul::trainer {

class Checksum {
 public:
  void add(Bytes bytes);  // any split of the same bytes gives the same value
  std::uint64_t value() const;

 private:
  static constexpr std::size_t kBlock = 32;
  void block(const std::byte* at);
  std::array<std::uint64_t, 4> lanes_ = {0x243f6a8885a308d3U, 0x13198a2e03707344U,
                                         0xa4093822299f31d0U, 0x082efa98ec4e6c89U};  // pi
  std::array<std::byte, kBlock> held_{};
  std::uint64_t bytes_ = 0;
};

std::uint64_t checksum_of(Bytes bytes);

}  // namespace longhaul::trainer
