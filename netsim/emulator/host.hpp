// The hosts that links join: network namespaces without names, each with one device `wan0` and the
// addresses of addresses.hpp. They live as long as a descriptor or a process holds them, so nothing
// is left behind, however we end. There is no route to anywhere but the other hosts: connecting out
// fails at once with "network is unreachable". Setting up is done by one thread.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "netsim/emulator/host_addresses.hpp"
#include "netsim/emulator/port.hpp"
#include "netsim/emulator/socket_watch.hpp"
#include "netsim/handle.hpp"

namespace netsim::emulator {

inline constexpr const char* kDevice = "wan0";

enum class Backend : std::uint8_t { kAuto, kTun, kPacket };
// What the kernel of a host is set to. Untuned: Linux' defaults, tcp_wmem up to 4 MiB, tcp_rmem up
// to 6 MiB, and socket buffers asked for are cut to 212,992 bytes (socket_clamp.hpp). Tuned: up to
// 128 MiB. As is: what the machine has.
enum class Tuning : std::uint8_t { kAsIs, kUntuned, kTuned };

struct HostSettings {
  Backend backend = Backend::kAuto;
  bool user_namespace = false;  // take the way without root, also as root
  bool offload = true;
  std::uint32_t mtu = 1500;
  std::string congestion;  // locked for all connections; empty: the machine's
  Tuning tuning = Tuning::kAsIs;
};

struct Hosts {
  std::optional<Fd> user_namespace;  // set if one was needed
  std::vector<Fd> net_namespaces;
  std::vector<std::unique_ptr<Port>> ports;
  std::vector<HostAddresses> addresses;
  std::vector<SocketSource> sockets;  // what their kernels know of connections
  std::string backend;                // "tun as root", in words
  std::vector<std::string> notes;     // what could not be done, and does not stop us
};

// Moves the calling process into namespaces of its own and builds `count` hosts. kPermission says
// what is missing and what still works.
Result<Hosts> build_hosts(const HostSettings& settings, std::size_t count);

// Which of the hosts `names` is called `name`.
Result<std::size_t> find_host(const std::vector<std::string>& names, const std::string& name);
// Enters a namespace made by build_hosts, for good (`kind`: CLONE_NEWNET, CLONE_NEWUSER).
Result<> enter(const Fd& space, int kind);
std::optional<Backend> backend_of(std::string_view name);
std::optional<Tuning> tuning_of(std::string_view name);

}  // namespace netsim::emulator
