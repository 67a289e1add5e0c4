// The two hosts a link joins: network namespaces without names, each with one device `wan0`. They
// live as long as a descriptor or a process holds them, so nothing is left behind, however we end.
//
//   a, the laptop: 198.18.0.1, 2001:2::a        b, the site: 198.18.0.2, 2001:2::b
//
// (RFC 2544 and RFC 5180 set these ranges aside for benches.) There is no route to anywhere else:
// connecting out fails at once with "network is unreachable". Setting up is done by one thread.
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "netsim/emulator/handle.hpp"
#include "netsim/emulator/port.hpp"

namespace netsim::emulator {

inline constexpr const char* kDevice = "wan0";
inline constexpr std::array<const char*, 2> kAddress4{"198.18.0.1", "198.18.0.2"};
inline constexpr std::array<const char*, 2> kAddress6{"2001:2::a", "2001:2::b"};

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
  std::array<Fd, 2> net_namespaces;
  std::array<std::unique_ptr<Port>, 2> ports;
  std::string backend;             // "tun as root", in words
  std::vector<std::string> notes;  // what could not be done, and does not stop us
};

// Moves the calling process into namespaces of its own and builds both hosts. kPermission says what
// is missing and what still works.
Result<Hosts> build_hosts(const HostSettings& settings);

// Enters a namespace made by build_hosts, for good (`kind`: CLONE_NEWNET, CLONE_NEWUSER).
Result<> enter(const Fd& space, int kind);
std::optional<Backend> backend_of(std::string_view name);
std::optional<Tuning> tuning_of(std::string_view name);

}  // namespace netsim::emulator
