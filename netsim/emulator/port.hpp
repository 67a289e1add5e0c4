// Port: the emulator's end of one host's network device. Reads and writes IP packets with their
// offload header; never blocks. Used by the emulator's thread alone.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

#include "netsim/config.hpp"
#include "netsim/emulator/headers.hpp"
#include "netsim/emulator/virtio_header.hpp"

namespace netsim::emulator {

// A framed packet is its offload header (csum_start counts from the IP header) and then itself: one
// plain read or write, without the cost of gathering pieces.
inline constexpr std::size_t kFrameHeader = sizeof(VirtioHeader);

class Port {
 public:
  virtual ~Port() = default;
  virtual int fd() const = 0;  // to poll for reading
  // A framed packet into `out` (kFrameHeader + kPacketMax bytes): bytes of the packet alone;
  // nullopt: nothing waits.
  virtual Result<std::optional<std::size_t>> read(MutableBytes out) = 0;
  // Says whether the device took it: a full or vanished device drops, as a real one does.
  enum class Written : bool { kNo, kYes };
  virtual Written write(const VirtioHeader& offload, Bytes header, Bytes payload) = 0;
  virtual Written write_framed(Bytes framed) = 0;
  // Packets of the host that were lost because we did not read in time. May be called seldom.
  virtual std::uint64_t dropped() = 0;
  virtual bool takes_udp_trains() const = 0;  // else each datagram is written alone
};

}  // namespace netsim::emulator
