// The 10 bytes in front of each packet on TUN and packet sockets with offload. Declared here
// because <linux/virtio_net.h> does not compile as C++ (a member is named `class`). Native byte
// order.
#pragma once

#include <cstdint>

namespace netsim::emulator {

struct VirtioHeader {
  std::uint8_t flags = 0;
  std::uint8_t gso_type = 0;
  std::uint16_t hdr_len = 0;  // a hint that senders get wrong: never read, always set right
  std::uint16_t gso_size = 0;
  std::uint16_t csum_start = 0;
  std::uint16_t csum_offset = 0;
};
static_assert(sizeof(VirtioHeader) == 10);

inline constexpr std::uint8_t kNeedsChecksum = 1;
inline constexpr std::uint8_t kGsoNone = 0, kGsoTcp4 = 1, kGsoTcp6 = 4, kGsoUdp = 5;
inline constexpr std::uint8_t kGsoEcn = 0x80;  // or-ed in: the first segment carries CWR

}  // namespace netsim::emulator
