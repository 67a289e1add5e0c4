// What a host inside the emulator may put on its device: any bytes behind any offload header. A
// packet that is taken is cut into segments whose checksums are complete and whose payloads are the
// packet's, once each. The first ten bytes are the header.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "lib/base/assert.hpp"
#include "netsim/emulator/too_big.hpp"
#include "netsim/emulator/train.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace longhaul;
  using namespace netsim::emulator;
  VirtioHeader offload;
  if (size <= sizeof offload || size - sizeof offload > kPacketMax) return 0;
  std::memcpy(&offload, data, sizeof offload);
  const Bytes packet = std::as_bytes(std::span(data, size)).subspan(sizeof offload);
  Buffer buffer(size);
  std::memcpy(buffer.data(), data, size);
  (void)too_big_reply(packet, 1400);
  const auto train = Train::of(std::move(buffer), packet.size());
  if (!train.has_value()) return 0;
  ASSERT(train->segments() > 0);
  std::size_t payload = 0;
  // The first and the last differ in their headers from those between.
  const std::uint32_t step = std::max(1U, train->segments() / 16);
  for (std::uint32_t k = 0; k < train->segments(); ++k) {
    payload += train->payload(k, 1).size();
    if (k % step != 0 && k + 1 != train->segments()) continue;
    ByteVector segment(train->segment_bytes(k));
    ASSERT(train->write_segment(k, k % 2 == 1, segment) == segment.size());
    const auto layout = layout_of(segment);
    ASSERT(layout.has_value() && *layout == train->layout());
    const Cut cut = train->cut(k, 1, false);
    ASSERT(cut.header_bytes + train->payload(k, 1).size() == segment.size());
  }
  ASSERT(payload + train->layout().header_bytes == packet.size());
  return 0;
}
