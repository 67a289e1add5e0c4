// Netlink: sets up devices, addresses and routes in the network namespace that the calling thread
// was in at open(), without the `ip` program. Blocking, milliseconds.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>

#include "netsim/config.hpp"
#include "netsim/handle.hpp"

namespace netsim::emulator {

struct Address {  // IPv4: 4 bytes used, IPv6: 16
  bool v6 = false;
  std::array<std::uint8_t, 16> bytes{};
  static Address parse(const char* text);  // of a constant of ours; nonsense is a bug
  std::size_t size() const { return v6 ? 16 : 4; }
};

struct DeviceSettings {
  std::uint32_t mtu = 1500;
  std::uint32_t transmit_queue_packets = 1000;
  bool no_arp = false;
  std::optional<std::array<std::uint8_t, 6>> mac;
};

class Netlink {
 public:
  static Result<Netlink> open();

  Result<int> index_of(const std::string& device);
  Result<> set_up(const std::string& device, const DeviceSettings& settings);
  Result<> set_loopback_up();
  Result<> add_address(const std::string& device, const Address& address, unsigned prefix_bits);
  Result<> remove_address(const std::string& device, const Address& address, unsigned prefix_bits);
  // A route to `to` over `device`. `congestion` locks the congestion control of its connections:
  // setsockopt cannot undo it.
  Result<> add_route(const std::string& device, const Address& to, unsigned prefix_bits,
                     const std::string& congestion);
  Result<> remove_route(const std::string& device, const Address& to, unsigned prefix_bits);
  // `near` here, `far` in the namespace of `far_namespace`.
  Result<> add_veth(const std::string& near, const std::string& far, int far_namespace);

 private:
  explicit Netlink(Fd fd) : fd_(std::move(fd)) {}
  class Message;
  Result<> forbid_link_local(const std::string& device);
  Result<> send(const Message& message, const std::string& attempt);

  Fd fd_;
  std::uint32_t sequence_ = 0;
};

}  // namespace netsim::emulator
