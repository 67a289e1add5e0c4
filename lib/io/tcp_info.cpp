// Apart from tcp_stream.cpp: the kernel's tcp_info reaches further than glibc's (delivery rate,
// bytes resent), and the two headers cannot stand in one file.
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <cstring>

#include "lib/io/env.hpp"

namespace longhaul::io {

StreamInfo read_stream_info(int socket) {
  StreamInfo out;
  ::tcp_info raw{};
  socklen_t size = sizeof raw;
  if (::getsockopt(socket, IPPROTO_TCP, TCP_INFO, &raw, &size) == 0) {
    out.rtt = std::chrono::microseconds(raw.tcpi_rtt);
    if (raw.tcpi_min_rtt != ~0U) out.rtt_min = std::chrono::microseconds(raw.tcpi_min_rtt);
    out.delivery_rate = BytesPerSecond(raw.tcpi_delivery_rate);
    out.bytes_acked = raw.tcpi_bytes_acked;
    out.bytes_sent = raw.tcpi_bytes_sent;
    out.bytes_retransmitted = raw.tcpi_bytes_retrans;
    out.bytes_delivered = std::uint64_t{raw.tcpi_delivered} * raw.tcpi_snd_mss;
    out.unsent_bytes = raw.tcpi_notsent_bytes;
    out.cwnd_packets = raw.tcpi_snd_cwnd;
    out.segment_bytes = raw.tcpi_snd_mss;
  }
  const auto number = [socket](int name) {
    int value = 0;
    socklen_t length = sizeof value;
    const int status = ::getsockopt(socket, SOL_SOCKET, name, &value, &length);
    return status == 0 ? static_cast<std::uint32_t>(value) : 0U;
  };
  out.send_buffer_bytes = number(SO_SNDBUF);
  out.receive_buffer_bytes = number(SO_RCVBUF);
  std::array<char, 16> name{};
  size = static_cast<socklen_t>(name.size());
  if (::getsockopt(socket, IPPROTO_TCP, TCP_CONGESTION, name.data(), &size) == 0)
    out.congestion_control.assign(name.data(), ::strnlen(name.data(), name.size()));
  return out;
}

}  // namespace longhaul::io
