// Train: what the kernel hands over at once, one packet or up to 64 KiB of equal segments behind
// one header (TSO, USO). The link decides about each segment; what leaves together and belongs
// together leaves as one train again. One copy of the payload serves all of them: only headers are
// rewritten.
//
//   Train train = Train::of(framed_buffer, size);
//   for (k in train.segments()) pipe.push(now, {cookie(k), train.segment_bytes(k), ecn});
//   ..
//   Cut cut = train.cut(first, count);      // IP and TCP headers, lengths, ids, flags, checksums
//   writev(cut.offload, cut.header, train.payload(first, count));
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "netsim/emulator/buffer.hpp"
#include "netsim/emulator/headers.hpp"
#include "netsim/emulator/virtio_header.hpp"

namespace netsim::emulator {

inline constexpr std::size_t kPacketMax = 65'536 + 64;  // the largest packet read, with its headers
inline constexpr std::size_t kHeaderMax = 256;          // IP with extensions and TCP with options

struct Cut {
  VirtioHeader offload;
  std::array<std::byte, kHeaderMax> header;
  std::size_t header_bytes = 0;
};

class Train {
 public:
  Train() = default;
  // `framed`: an offload header and then `size` bytes of packet. nullopt: not an IP packet, or its
  // offload fields make no sense.
  static std::optional<Train> of(Buffer framed, std::size_t size);

  std::uint32_t segments() const { return segments_; }
  std::uint32_t segment_bytes(std::uint32_t k) const;  // IP packet: headers and its payload
  Ecn ecn() const { return ecn_of(bytes()); }
  const Layout& layout() const { return layout_; }
  Bytes bytes() const { return {framed_.data() + sizeof(VirtioHeader), size_}; }
  // To change its headers before any segment leaves.
  MutableBytes packet() { return {framed_.data() + sizeof(VirtioHeader), size_}; }
  bool has_partial_checksum() const { return needs_checksum_; }
  // All of a single packet as it came, its offload header made right: for one plain write.
  Bytes framed() const { return {framed_.data(), sizeof(VirtioHeader) + size_}; }

  // Forgets the payload behind the first `count` segments: nobody will ask for it.
  void keep_first(std::uint32_t count);

  // Segments [first, first + count) as one packet for a device with offload.
  Cut cut(std::uint32_t first, std::uint32_t count, bool ce) const;
  Bytes payload(std::uint32_t first, std::uint32_t count) const;
  // One segment as it would stand on a wire, all checksums complete; returns its size. `out` holds
  // segment_bytes(k).
  std::size_t write_segment(std::uint32_t k, bool ce, MutableBytes out) const;

 private:
  void rewrite(MutableBytes header, std::uint32_t first, std::uint32_t count, bool ce) const;
  bool is_whole(std::uint32_t first, std::uint32_t count) const {
    return first == 0 && count == segments_;
  }

  VirtioHeader own_offload() const;  // of a single packet

  Buffer framed_;
  std::uint32_t size_ = 0;
  Layout layout_;
  std::uint16_t payload_per_segment_ = 0;  // 0: a single packet
  std::uint16_t segments_ = 0;
  std::uint16_t csum_start_ = 0, csum_offset_ = 0;
  bool needs_checksum_ = false;
};

}  // namespace netsim::emulator
