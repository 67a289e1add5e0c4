#include "netsim/emulator/train.hpp"

#include <algorithm>
#include <cstring>

#include "lib/base/assert.hpp"

namespace netsim::emulator {
namespace {

using longhaul::load_be;
using longhaul::store_be;

constexpr std::size_t kFlagsAt = 13;  // in the TCP header
constexpr std::byte kFin{0x01}, kPsh{0x08}, kCwr{0x80};

// A checksum to complete may stand behind the headers we know (a tunnel's inner packet) or where
// TCP and UDP have theirs: anywhere else it would overwrite the header itself.
bool makes_sense(const VirtioHeader& offload, const Layout& layout, std::size_t size) {
  const std::size_t at = std::size_t{offload.csum_start} + offload.csum_offset;
  if (at + 2 > size || offload.csum_start < layout.network_bytes) return false;
  if (layout.transport == 0 || at >= layout.header_bytes) return true;
  return at == std::size_t{layout.network_bytes} + checksum_offset(layout);
}

bool is_segmented(const VirtioHeader& offload) {
  return offload.gso_type != kGsoNone && offload.gso_size != 0;
}

}  // namespace

std::optional<Train> Train::of(Buffer framed, std::size_t size) {
  VirtioHeader offload;
  std::memcpy(&offload, framed.data(), sizeof offload);
  const auto layout = layout_of(Bytes(framed.data() + sizeof offload, size));
  if (!layout || size > kPacketMax || layout->header_bytes > kHeaderMax) return std::nullopt;
  Train train;
  train.layout_ = *layout;
  train.size_ = static_cast<std::uint32_t>(size);
  train.segments_ = 1;
  train.needs_checksum_ = (offload.flags & kNeedsChecksum) != 0;
  train.csum_start_ = offload.csum_start;
  train.csum_offset_ = offload.csum_offset;
  if (train.needs_checksum_ && !makes_sense(offload, *layout, size)) return std::nullopt;
  if (is_segmented(offload)) {
    const std::uint8_t type = offload.gso_type & static_cast<std::uint8_t>(~kGsoEcn);
    const bool fits = type == kGsoUdp ? layout->transport == kUdp : layout->transport == kTcp;
    if (!fits) return std::nullopt;
    const std::size_t payload = size - layout->header_bytes;
    const std::size_t count = (payload + offload.gso_size - 1) / offload.gso_size;
    if (count > 1) {
      train.segments_ = static_cast<std::uint16_t>(count);
      train.payload_per_segment_ = offload.gso_size;
    }
  }
  train.framed_ = std::move(framed);
  if (train.segments_ == 1) {
    const VirtioHeader own = train.own_offload();
    std::memcpy(train.framed_.data(), &own, sizeof own);
  }
  return train;
}

void Train::keep_first(std::uint32_t count) {
  if (count >= segments_) return;
  size_ = layout_.header_bytes + count * payload_per_segment_;
  framed_.cut(sizeof(VirtioHeader) + size_);
}

VirtioHeader Train::own_offload() const {
  VirtioHeader out;
  out.hdr_len = layout_.header_bytes;
  if (needs_checksum_)
    out = {kNeedsChecksum, kGsoNone, layout_.header_bytes, 0, csum_start_, csum_offset_};
  return out;
}

std::uint32_t Train::segment_bytes(std::uint32_t k) const {
  if (segments_ == 1) return size_;
  return layout_.header_bytes + static_cast<std::uint32_t>(payload(k, 1).size());
}

Bytes Train::payload(std::uint32_t first, std::uint32_t count) const {
  ASSERT(first + count <= segments_);
  const Bytes all = bytes().subspan(layout_.header_bytes);
  if (segments_ == 1) return all.first(count == 0 ? 0 : all.size());
  const std::size_t begin = std::size_t{first} * payload_per_segment_;
  return all.subspan(begin,
                     std::min(all.size() - begin, std::size_t{count} * payload_per_segment_));
}

void Train::rewrite(MutableBytes header, std::uint32_t first, std::uint32_t count, bool ce) const {
  const std::size_t total = header.size() + payload(first, count).size();
  if (layout_.v6) {
    store_be(header.subspan(4), static_cast<std::uint16_t>(total - 40));
    if (ce) mark_ce(header);
  } else {
    store_be(header.subspan(2), static_cast<std::uint16_t>(total));
    const auto id = load_be<std::uint16_t>(header.subspan(4));
    store_be(header.subspan(4), static_cast<std::uint16_t>(id + first));
    if (ce) mark_ce(header);
    fill_ip_checksum(header);
  }
  const MutableBytes transport = header.subspan(layout_.network_bytes);
  if (layout_.transport == kUdp) {
    store_be(transport.subspan(4), static_cast<std::uint16_t>(total - layout_.network_bytes));
    return;
  }
  const auto sequence = load_be<std::uint32_t>(transport.subspan(4));
  store_be(transport.subspan(4), sequence + first * payload_per_segment_);
  // As the kernel's own segmentation: CWR belongs to the first segment, FIN and PSH to the last.
  if (first > 0) transport[kFlagsAt] &= ~kCwr;
  if (first + count < segments_) transport[kFlagsAt] &= ~(kFin | kPsh);
}

Cut Train::cut(std::uint32_t first, std::uint32_t count, bool ce) const {
  Cut out;
  out.header_bytes = layout_.header_bytes;
  const MutableBytes header(out.header.data(), out.header_bytes);
  std::copy_n(bytes().begin(), out.header_bytes, out.header.begin());
  if (segments_ == 1) {
    out.offload = own_offload();
    if (ce) mark_ce(header);
    return out;
  }
  out.offload.hdr_len = layout_.header_bytes;
  rewrite(header, first, count, ce);
  // Left to the receiving kernel, which takes a partial sum (over the pseudo header) as verified.
  const auto transport_bytes = header.size() - layout_.network_bytes + payload(first, count).size();
  store_be(header.subspan(layout_.network_bytes + checksum_offset(layout_)),
           pseudo_sum(header, layout_, static_cast<std::uint32_t>(transport_bytes)));
  out.offload.flags = kNeedsChecksum;
  out.offload.csum_start = layout_.network_bytes;
  out.offload.csum_offset = checksum_offset(layout_);
  if (count > 1) {
    out.offload.gso_size = payload_per_segment_;
    out.offload.gso_type = layout_.transport == kUdp ? kGsoUdp : layout_.v6 ? kGsoTcp6 : kGsoTcp4;
    const bool cwr = layout_.transport == kTcp &&
                     (header[layout_.network_bytes + kFlagsAt] & kCwr) != std::byte{0};
    if (cwr) out.offload.gso_type |= kGsoEcn;
  }
  return out;
}

std::size_t Train::write_segment(std::uint32_t k, bool ce, MutableBytes out) const {
  const std::size_t size = segment_bytes(k);
  const Bytes body = payload(k, 1);
  std::copy_n(bytes().begin(), layout_.header_bytes, out.begin());
  std::copy(body.begin(), body.end(), out.begin() + layout_.header_bytes);
  const MutableBytes packet = out.first(size);
  if (segments_ > 1)
    rewrite(packet.first(layout_.header_bytes), k, 1, ce);
  else if (ce)
    mark_ce(packet);
  if (segments_ > 1 || (needs_checksum_ && layout_.transport != 0)) {
    fill_transport_checksum(packet, layout_, /*keep_absent=*/false);
  } else if (needs_checksum_) {  // some other protocol with a 16-bit sum, e.g. tunnelled
    const auto sum = static_cast<std::uint16_t>(~ones_sum(packet.subspan(csum_start_)));
    store_be(packet.subspan(std::size_t{csum_start_} + csum_offset_), sum);
  }
  return size;
}

}  // namespace netsim::emulator
