// PacketPort: a packet socket on the near end of a veth pair, for where TUN is not permitted. Reads
// from a ring shared with the kernel, so that bursts of 64 KiB trains do not depend on the
// machine's socket buffer limit.
#pragma once

#include <array>
#include <memory>
#include <string>

#include "netsim/emulator/port.hpp"
#include "netsim/handle.hpp"

namespace netsim::emulator {

// Both hosts' devices have it: frames are addressed without asking (ARP is off).
inline constexpr std::array<std::uint8_t, 6> kHostMac{0x02, 0, 0, 0, 0, 0x0A};

class PacketPort final : public Port {
 public:
  // Of `device` in the calling thread's network namespace.
  static Result<std::unique_ptr<PacketPort>> open(const std::string& device, bool offload);
  ~PacketPort() override;

  int fd() const override { return fd_.get(); }
  Result<std::optional<std::size_t>> read(MutableBytes out) override;
  Written write(const VirtioHeader& offload, Bytes header, Bytes payload) override;
  Written write_framed(Bytes framed) override;
  std::uint64_t dropped() override;
  bool takes_udp_trains() const override { return offload_; }

 private:
  PacketPort(Fd fd, std::byte* ring, bool offload)
      : fd_(std::move(fd)), ring_(ring), offload_(offload) {}
  Fd fd_;
  std::byte* ring_;
  std::size_t next_ = 0;  // frame to be read
  bool offload_;
  std::uint64_t dropped_ = 0;
};

}  // namespace netsim::emulator
