// Packets for the tests of the emulator's parts: UDP and ICMP between hosts of the address plan,
// and a port that holds them instead of a device.
#pragma once

#include <gtest/gtest.h>

#include <cstring>
#include <deque>
#include <vector>

#include "netsim/emulator/addresses.hpp"
#include "netsim/emulator/port.hpp"

namespace netsim::emulator::test {

using longhaul::ByteVector;

struct UdpShape {
  bool v6 = false;
  AddressId from = 0, to = 1;
  std::uint16_t from_port = 5000, to_port = 9000;
  std::size_t payload = 100;
};

// A UDP packet with complete checksums.
inline ByteVector udp_packet(const UdpShape& shape) {
  const std::size_t network = shape.v6 ? 40 : 20;
  ByteVector out(network + 8 + shape.payload);
  for (std::size_t i = network + 8; i < out.size(); ++i) out[i] = static_cast<std::byte>(i * 7);
  const MutableBytes ip(out);
  const auto length = static_cast<std::uint16_t>(8 + shape.payload);
  if (shape.v6) {
    ip[0] = std::byte{0x60};
    longhaul::store_be(ip.subspan(4), length);
    ip[6] = std::byte{kUdp};
    ip[7] = std::byte{64};
  } else {
    ip[0] = std::byte{0x45};
    longhaul::store_be(ip.subspan(2), static_cast<std::uint16_t>(out.size()));
    ip[6] = std::byte{0x40};  // do not fragment
    ip[8] = std::byte{64};
    ip[9] = std::byte{kUdp};
  }
  longhaul::store_be(ip.subspan(network + 4), length);
  const Layout layout{shape.v6, kUdp, static_cast<std::uint16_t>(network),
                      static_cast<std::uint16_t>(network + 8)};
  set_endpoint(ip, layout, End::kSource, shape.from, shape.from_port, Checksum::kWhole);
  set_endpoint(ip, layout, End::kDestination, shape.to, shape.to_port, Checksum::kWhole);
  fill_transport_checksum(ip, layout, /*keep_absent=*/false);
  return out;
}

class MemoryPort : public Port {
 public:
  int fd() const override { return -1; }
  Result<std::optional<std::size_t>> read(MutableBytes out) override {
    if (to_send.empty()) return std::nullopt;
    const ByteVector packet = std::move(to_send.front());
    to_send.pop_front();
    const VirtioHeader none;
    std::memcpy(out.data(), &none, sizeof none);
    std::memcpy(out.data() + kFrameHeader, packet.data(), packet.size());
    return packet.size();
  }
  Written write(const VirtioHeader&, Bytes header, Bytes payload) override {
    ByteVector packet(header.begin(), header.end());
    longhaul::append(packet, payload);
    received.push_back(std::move(packet));
    return Written::kYes;
  }
  Written write_framed(Bytes framed) override {
    return write({}, framed.subspan(kFrameHeader), {});
  }
  std::uint64_t dropped() override { return 0; }
  bool takes_udp_trains() const override { return true; }

  std::deque<ByteVector> to_send;
  std::vector<ByteVector> received;
};

}  // namespace netsim::emulator::test
