#include "netsim/emulator/tun_port.hpp"

#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/uio.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <sstream>

namespace netsim::emulator {
namespace {

using longhaul::fail_errno;

// Since Linux 6.2; Debian 12's headers lack them.
constexpr unsigned kTunUso4 = 0x20, kTunUso6 = 0x40;

iovec iov_of(const void* data, std::size_t bytes) {
  return {const_cast<void*>(data), bytes};
}

}  // namespace

Result<std::unique_ptr<TunPort>> TunPort::open(const std::string& device, bool offload) {
  Fd fd(::open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC));
  if (!fd) return fail_errno("open /dev/net/tun", errno);
  ifreq request{};
  std::strncpy(request.ifr_name, device.c_str(), IFNAMSIZ - 1);
  request.ifr_flags = IFF_TUN | IFF_NO_PI | IFF_VNET_HDR;
  if (::ioctl(fd.get(), TUNSETIFF, &request) != 0)
    return fail_errno("create TUN device " + device, errno);
  bool udp_trains = false;
  if (offload) {
    const unsigned tcp = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6;
    udp_trains = ::ioctl(fd.get(), TUNSETOFFLOAD, tcp | kTunUso4 | kTunUso6) == 0;
    if (!udp_trains && ::ioctl(fd.get(), TUNSETOFFLOAD, tcp) != 0)
      return fail_errno("set TUN offload", errno);
  }
  Fd statistics(::open("/proc/thread-self/net/dev", O_RDONLY | O_CLOEXEC));
  return std::unique_ptr<TunPort>(
      new TunPort(std::move(fd), std::move(statistics), device, udp_trains));
}

Result<std::optional<std::size_t>> TunPort::read(MutableBytes out) {
  const ssize_t got = ::read(fd_.get(), out.data(), out.size());
  if (got < 0) {
    if (errno == EAGAIN || errno == EINTR) return std::nullopt;
    return fail_errno("read TUN device", errno);
  }
  if (got < static_cast<ssize_t>(kFrameHeader)) return std::nullopt;
  return static_cast<std::size_t>(got) - kFrameHeader;
}

std::uint64_t TunPort::dropped() {
  std::array<char, 4096> text{};
  if (::pread(statistics_.get(), text.data(), text.size() - 1, 0) <= 0) return 0;
  const char* line = std::strstr(text.data(), (device_ + ":").c_str());
  if (line == nullptr) return 0;
  std::istringstream numbers(line + device_.size() + 1);
  constexpr int kSentDropped = 11;  // after 8 numbers about receiving: bytes, packets, errors
  std::uint64_t value = 0;
  for (int i = 0; i <= kSentDropped; ++i) numbers >> value;
  return value;
}

Port::Written TunPort::write(const VirtioHeader& offload, Bytes header, Bytes payload) {
  const std::array parts{iov_of(&offload, sizeof offload), iov_of(header.data(), header.size()),
                         iov_of(payload.data(), payload.size())};
  return ::writev(fd_.get(), parts.data(), static_cast<int>(parts.size())) > 0 ? Written::kYes
                                                                               : Written::kNo;
}

Port::Written TunPort::write_framed(Bytes framed) {
  return ::write(fd_.get(), framed.data(), framed.size()) > 0 ? Written::kYes : Written::kNo;
}

}  // namespace netsim::emulator
