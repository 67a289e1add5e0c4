#include "netsim/emulator/host.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "lib/base/escape.hpp"
#include "netsim/emulator/kernel_setting.hpp"
#include "netsim/emulator/netlink.hpp"
#include "netsim/emulator/packet_port.hpp"
#include "netsim/emulator/tun_port.hpp"

namespace netsim::emulator {
namespace {

using longhaul::Error;
using longhaul::fail;
using longhaul::fail_errno;
using longhaul::Kind;

Error no_user_namespace(int os) {
  return Error(Kind::kPermission, "create a user namespace", os)
      .advise(
          "without root, netsim needs unprivileged user namespaces (sysctl "
          "user.max_user_namespaces, "
          "kernel.unprivileged_userns_clone, kernel.apparmor_restrict_unprivileged_userns; in a "
          "container, its seccomp profile; never in a chroot); with root, CAP_SYS_ADMIN and "
          "CAP_NET_ADMIN. "
          "`netsim relay` needs none of them");
}

// The caller keeps its user and group, and gets all capabilities inside.
Result<Fd> enter_new_user_namespace() {
  const unsigned uid = ::geteuid(), gid = ::getegid();
  if (::unshare(CLONE_NEWUSER) != 0) return fail(no_user_namespace(errno));
  const auto map = [](const char* path, const std::string& text) -> Result<> {
    auto done = write_kernel_file(path, text);
    if (!done) return fail(no_user_namespace(done.error().os()));
    return {};
  };
  TRY(map("/proc/self/setgroups", "deny"));
  TRY(map("/proc/self/uid_map", fmt::format("{} {} 1", uid, uid)));
  TRY(map("/proc/self/gid_map", fmt::format("{} {} 1", gid, gid)));
  Fd fd(::open("/proc/self/ns/user", O_RDONLY | O_CLOEXEC));
  if (!fd) return fail_errno("open the user namespace", errno);
  return fd;
}

Result<Fd> enter_new_net_namespace() {
  if (::unshare(CLONE_NEWNET) != 0)
    return fail(Error(Kind::kPermission, "create a network namespace (CAP_SYS_ADMIN)", errno)
                    .advise("`netsim relay` works without"));
  Fd fd(::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
  if (!fd) return fail_errno("open the network namespace", errno);
  return fd;
}

struct TcpLimits {
  const char *wmem, *rmem;
};
constexpr TcpLimits kUntunedTcp{"4096 16384 4194304", "4096 131072 6291456"};
constexpr TcpLimits kTunedTcp{"4096 131072 134217728", "4096 131072 134217728"};

// Once, however many hosts have it.
void note(std::vector<std::string>& notes, std::string text) {
  if (std::find(notes.begin(), notes.end(), text) == notes.end()) notes.push_back(std::move(text));
}

// Of the namespace the thread is in.
Result<> tune(const HostSettings& settings, std::vector<std::string>& notes) {
  const std::string group = fmt::format("{0} {0}", ::getegid());
  if (const auto ping = write_kernel_setting("/proc/sys/net/ipv4/ping_group_range", group); !ping)
    note(notes, "ping may need CAP_NET_RAW: " + ping.error().message());
  if (settings.tuning == Tuning::kAsIs) return {};
  const TcpLimits& limits = settings.tuning == Tuning::kUntuned ? kUntunedTcp : kTunedTcp;
  TRY(write_kernel_setting("/proc/sys/net/ipv4/tcp_wmem", limits.wmem));
  return write_kernel_setting("/proc/sys/net/ipv4/tcp_rmem", limits.rmem);
}

// One host's device and kernel; the thread is in the host's namespace.
Result<> configure(std::size_t side, const HostSettings& settings, const DeviceSettings& device,
                   Hosts& hosts) {
  auto netlink = TRY(Netlink::open());
  TRY(netlink.set_loopback_up());
  TRY(netlink.set_up(kDevice, device));
  std::vector<std::string> notes;
  hosts.addresses.push_back(TRY(HostAddresses::give(side, kDevice, settings.congestion, notes)));
  for (std::string& text : notes) note(hosts.notes, std::move(text));
  return tune(settings, hosts.notes);
}

// Nothing is left of it where it fails: a device ends with its port.
Result<> open_tuns(Hosts& hosts, const HostSettings& settings) {
  std::vector<std::unique_ptr<Port>> ports;
  for (const Fd& space : hosts.net_namespaces) {
    TRY(enter(space, CLONE_NEWNET));
    ports.push_back(TRY(TunPort::open(kDevice, settings.offload)));
  }
  hosts.ports = std::move(ports);
  return {};
}

Result<> configure_tuns(Hosts& hosts, const HostSettings& settings) {
  for (std::size_t side = 0; side < hosts.ports.size(); ++side) {
    TRY(enter(hosts.net_namespaces[side], CLONE_NEWNET));
    DeviceSettings device;
    device.mtu = settings.mtu;
    TRY(configure(side, settings, device, hosts));
    hosts.sockets.push_back(TRY(SocketSource::open()));
  }
  return {};
}

Result<> build_packet(Hosts& hosts, const Fd& middle, const HostSettings& settings) {
  for (std::size_t side = 0; side < hosts.ports.size(); ++side) {
    const std::string near = fmt::format("host{}", side);
    TRY(enter(middle, CLONE_NEWNET));
    DeviceSettings device;
    device.mtu = settings.mtu;
    device.no_arp = true;
    {
      auto netlink = TRY(Netlink::open());
      TRY(netlink.add_veth(near, kDevice, hosts.net_namespaces[side].get()));
      TRY(netlink.set_up(near, device));
    }
    hosts.ports[side] = TRY(PacketPort::open(near, settings.offload));
    device.mac = kHostMac;
    TRY(enter(hosts.net_namespaces[side], CLONE_NEWNET));
    TRY(configure(side, settings, device, hosts));
    hosts.sockets.push_back(TRY(SocketSource::open()));
  }
  return {};
}

}  // namespace

Result<std::size_t> find_host(const std::vector<std::string>& names, const std::string& name) {
  const auto found = std::find(names.begin(), names.end(), name);
  if (found != names.end()) return static_cast<std::size_t>(found - names.begin());
  return fail(Kind::kNotFound, "find host '" + longhaul::printable(name, 40) + "'",
              fmt::format("{} is expected", fmt::join(names, ", ")));
}

Result<> enter(const Fd& space, int kind) {
  if (::setns(space.get(), kind) != 0) return fail_errno("enter a namespace", errno);
  return {};
}

Result<Hosts> build_hosts(const HostSettings& settings, std::size_t count) {
  Hosts hosts;
  hosts.net_namespaces.resize(count);
  hosts.ports.resize(count);
  auto middle = settings.user_namespace ? Result<Fd>(Fd()) : enter_new_net_namespace();
  if (settings.user_namespace || !middle) {
    hosts.user_namespace = TRY(enter_new_user_namespace());
    middle = enter_new_net_namespace();
  }
  if (!middle) return fail(middle.error());
  for (Fd& space : hosts.net_namespaces) space = TRY(enter_new_net_namespace());
  const std::string how = hosts.user_namespace ? "in a user namespace" : "as root";
  if (settings.backend != Backend::kPacket) {
    const auto opened = open_tuns(hosts, settings);
    if (opened) {
      TRY(configure_tuns(hosts, settings));
      hosts.backend = "tun " + how;
    } else {
      const Kind why = opened.error().kind();
      const bool no_tun = why == Kind::kPermission || why == Kind::kNotFound;
      if (settings.backend == Backend::kTun || !no_tun) return fail(opened.error());
      hosts.notes.push_back("no TUN: " + opened.error().message());
    }
  }
  if (hosts.backend.empty()) {
    TRY(build_packet(hosts, *middle, settings));
    hosts.backend = "veth and packet sockets " + how;
  }
  TRY(enter(*middle, CLONE_NEWNET));
  return hosts;
}

std::optional<Backend> backend_of(std::string_view name) {
  if (name == "auto") return Backend::kAuto;
  if (name == "tun") return Backend::kTun;
  if (name == "packet") return Backend::kPacket;
  return std::nullopt;
}

std::optional<Tuning> tuning_of(std::string_view name) {
  if (name == "as-is") return Tuning::kAsIs;
  if (name == "untuned") return Tuning::kUntuned;
  if (name == "tuned") return Tuning::kTuned;
  return std::nullopt;
}

}  // namespace netsim::emulator
