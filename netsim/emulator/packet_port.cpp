#include "netsim/emulator/packet_port.hpp"

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <atomic>
#include <cerrno>
#include <cstring>

namespace netsim::emulator {
namespace {

using longhaul::fail_errno;

// 17 pages hold a 64 KiB train, its headers and the kernel's frame header; 96 of them are 6.4 MB.
constexpr std::size_t kFrameBytes = 17 * 4096, kFrames = 96;
constexpr std::size_t kRingBytes = kFrameBytes * kFrames;
constexpr std::size_t kEthernetBytes = 14;

Result<> set(const Fd& fd, int option, const void* value, std::size_t bytes, const char* name) {
  if (::setsockopt(fd.get(), SOL_PACKET, option, value, static_cast<socklen_t>(bytes)) != 0)
    return fail_errno(std::string("set ") + name, errno);
  return {};
}

Result<> set_flag(const Fd& fd, int option, int value, const char* name) {
  return set(fd, option, &value, sizeof value, name);
}

iovec iov_of(const void* data, std::size_t bytes) {
  return {const_cast<void*>(data), bytes};
}

}  // namespace

Result<std::unique_ptr<PacketPort>> PacketPort::open(const std::string& device, bool offload) {
  Fd fd(::socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) return fail_errno("open a packet socket (CAP_NET_RAW)", errno);
  TRY(set_flag(fd, PACKET_VERSION, TPACKET_V2, "PACKET_VERSION"));
  TRY(set_flag(fd, PACKET_VNET_HDR, 1, "PACKET_VNET_HDR"));
  TRY(set_flag(fd, PACKET_IGNORE_OUTGOING, 1, "PACKET_IGNORE_OUTGOING"));
  TRY(set_flag(fd, PACKET_QDISC_BYPASS, 1, "PACKET_QDISC_BYPASS"));
  tpacket_req ring{};
  ring.tp_block_size = ring.tp_frame_size = kFrameBytes;
  ring.tp_block_nr = ring.tp_frame_nr = kFrames;
  TRY(set(fd, PACKET_RX_RING, &ring, sizeof ring, "PACKET_RX_RING"));
  void* mapped =
      ::mmap(nullptr, kRingBytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd.get(), 0);
  if (mapped == MAP_FAILED) return fail_errno("map the packet ring", errno);
  std::unique_ptr<PacketPort> port(
      new PacketPort(std::move(fd), static_cast<std::byte*>(mapped), offload));
  sockaddr_ll address{};
  address.sll_family = AF_PACKET;
  address.sll_protocol = htons(ETH_P_ALL);
  address.sll_ifindex = static_cast<int>(::if_nametoindex(device.c_str()));
  if (::bind(port->fd(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    return fail_errno("bind a packet socket to " + device, errno);
  return port;
}

PacketPort::~PacketPort() {
  ::munmap(ring_, kRingBytes);
}

Result<std::optional<std::size_t>> PacketPort::read(MutableBytes out) {
  for (;;) {
    std::byte* frame = ring_ + next_ * kFrameBytes;
    auto* header = reinterpret_cast<tpacket2_hdr*>(frame);
    const std::atomic_ref<std::uint32_t> status(header->tp_status);
    if ((status.load(std::memory_order_acquire) & TP_STATUS_USER) == 0) return std::nullopt;
    next_ = (next_ + 1) % kFrames;
    // The offload header stands right before the Ethernet header.
    VirtioHeader offload;
    std::memcpy(&offload, frame + header->tp_mac - sizeof offload, sizeof offload);
    const std::size_t size = header->tp_snaplen;
    const bool whole = size == header->tp_len && size >= kEthernetBytes &&
                       size - kEthernetBytes + kFrameHeader <= out.size();
    const std::size_t bytes = whole ? size - kEthernetBytes : 0;
    if (whole) {
      std::memcpy(out.data() + kFrameHeader, frame + header->tp_mac + kEthernetBytes, bytes);
      if (offload.csum_start >= kEthernetBytes)
        offload.csum_start = static_cast<std::uint16_t>(offload.csum_start - kEthernetBytes);
      std::memcpy(out.data(), &offload, sizeof offload);
    }
    status.store(TP_STATUS_KERNEL, std::memory_order_release);
    if (whole) return bytes;
  }
}

std::uint64_t PacketPort::dropped() {
  tpacket_stats statistics{};
  socklen_t bytes = sizeof statistics;
  if (::getsockopt(fd_.get(), SOL_PACKET, PACKET_STATISTICS, &statistics, &bytes) == 0)
    dropped_ += statistics.tp_drops;  // the kernel counts anew after each question
  return dropped_;
}

Port::Written PacketPort::write(const VirtioHeader& offload, Bytes header, Bytes payload) {
  VirtioHeader shifted = offload;
  shifted.hdr_len = static_cast<std::uint16_t>(
      (offload.hdr_len == 0 ? header.size() : offload.hdr_len) + kEthernetBytes);
  if (offload.flags & kNeedsChecksum)
    shifted.csum_start = static_cast<std::uint16_t>(offload.csum_start + kEthernetBytes);
  std::array<std::byte, kEthernetBytes> ethernet{};
  std::memcpy(ethernet.data(), kHostMac.data(), kHostMac.size());
  ethernet[6] = std::byte{0x02};
  const bool v6 = (header[0] >> 4) == std::byte{6};
  longhaul::store_be(MutableBytes(ethernet).subspan(12),
                     static_cast<std::uint16_t>(v6 ? ETH_P_IPV6 : ETH_P_IP));
  std::array parts{iov_of(&shifted, sizeof shifted), iov_of(ethernet.data(), ethernet.size()),
                   iov_of(header.data(), header.size()), iov_of(payload.data(), payload.size())};
  msghdr message{};
  message.msg_iov = parts.data();
  message.msg_iovlen = parts.size();
  return ::sendmsg(fd_.get(), &message, 0) > 0 ? Written::kYes : Written::kNo;
}

Port::Written PacketPort::write_framed(Bytes framed) {
  VirtioHeader offload;
  std::memcpy(&offload, framed.data(), sizeof offload);
  return write(offload, framed.subspan(kFrameHeader), {});
}

}  // namespace netsim::emulator
