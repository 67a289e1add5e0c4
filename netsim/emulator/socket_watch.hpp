// SocketWatch: what the hosts' kernels really did: congestion control, effective buffers and
// TCP_INFO of their connections, and datagrams that were dropped for want of a buffer. A thread of
// its own samples the sockets (sock_diag, 25 ms apart in the first two seconds, then 200 ms), as a
// closed one can no longer be asked; one that lives shorter may be missed. Counts of dropped and
// repeated packets are the kernel's own and exact.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "netsim/config.hpp"
#include "netsim/handle.hpp"

namespace netsim::emulator {

struct ConnectionFacts {  // as last seen
  std::uint64_t cookie = 0;
  std::uint16_t local_port = 0, remote_port = 0;
  std::string congestion;
  std::uint32_t sndbuf_bytes = 0, rcvbuf_bytes = 0;  // SO_SNDBUF and SO_RCVBUF as they had become
  std::uint32_t rtt_us = 0, min_rtt_us = 0, cwnd_segments = 0, mss_bytes = 0;
  std::uint64_t bytes_acked = 0, bytes_received = 0, retransmitted_segments = 0;
  std::uint64_t delivery_bytes_per_s = 0;
};
struct HostFacts {
  std::map<std::string, std::uint64_t> congestion;  // connections that were seen with each
  std::uint64_t connections = 0, udp_sockets = 0;   // that were seen
  std::uint32_t tcp_sndbuf_max = 0, tcp_rcvbuf_max = 0, udp_sndbuf_max = 0, udp_rcvbuf_max = 0;
  std::vector<ConnectionFacts> most;  // those that moved most bytes, at most kMost
  // /proc/net/snmp and snmp6 of the host, both IP versions together.
  std::uint64_t tcp_retransmitted_segments = 0;
  std::uint64_t udp_dropped_receive_buffer = 0, udp_dropped_send_buffer = 0, udp_no_port = 0;
};

// Opened in a host's namespace; asks about that host ever after.
struct SocketSource {
  Fd diag, snmp, snmp6;
  static Result<SocketSource> open();
};

class SocketWatch {
 public:
  static constexpr std::size_t kMost = 8;
  explicit SocketWatch(std::vector<SocketSource> sources);
  ~SocketWatch();
  SocketWatch(const SocketWatch&) = delete;
  SocketWatch& operator=(const SocketWatch&) = delete;
  std::vector<HostFacts> facts();  // one a host; reads four small files a host

 private:
  static constexpr std::size_t kSeenMax = 100'000;  // sockets that are told apart
  struct Host {
    SocketSource source;
    HostFacts facts;
    std::map<std::uint64_t, bool> seen;  // by the kernel's cookie
  };
  void sample_forever();

  std::mutex mutex_;  // guards what follows
  std::condition_variable ending_;
  std::vector<Host> hosts_;
  bool end_ = false;
  std::thread thread_;
};

}  // namespace netsim::emulator
