// DatagramPort: one UDP socket, as the shell sees it. It sends batches of equal datagrams in one
// system call where the kernel can (UDP_SEGMENT) and in one sendmmsg() where not, and receives what
// the kernel has put together (UDP_GRO). It never fragments and decides nothing.
#pragma once

#include <cstdint>
#include <vector>

#include "lib/base/result.hpp"
#include "lib/base/slice.hpp"
#include "lib/base/units.hpp"
#include "lib/datagram/address.hpp"
#include "lib/io/endpoint.hpp"
#include "lib/io/task.hpp"

namespace longhaul::io {

// One datagram, or several of `each_bytes` behind each other; the last may be shorter.
struct ReceivedDatagrams {
  datagram::Address from;
  Slice bytes;
  std::size_t each_bytes = 0;
  Time came{};                       // by Env's clock, when the kernel took it off the network
  std::uint64_t dropped_before = 0;  // by this socket since it was opened, for want of room
};

// kLittle: a packet now and then, for which one socket has room.
enum class DatagramLoad : std::uint8_t { kBulk, kLittle };

struct DatagramInfo {
  std::uint64_t sent = 0, received = 0;  // datagrams
  std::uint64_t send_calls = 0, receive_calls = 0;
  std::uint64_t overrun = 0;     // dropped by the kernel: the receive buffer was full (SO_RXQ_OVFL)
  std::uint64_t unsendable = 0;  // refused for good: no route, a firewall; as good as lost
  std::uint32_t send_buffer_bytes = 0, receive_buffer_bytes = 0;
  bool segments = false, coalesces = false;  // UDP_SEGMENT and UDP_GRO work here
};

class DatagramPort {
 public:
  enum class Sent : std::uint8_t {
    kAll,      // or lost here, which is the same to who sends
    kBlocked,  // the socket is full: the rest waits in the port; send nothing before
               // wait_writable()
    kTooBig,   // larger than this path takes (EMSGSIZE); none was sent
  };

  virtual ~DatagramPort() = default;
  virtual Task<Result<std::vector<ReceivedDatagrams>>> receive() = 0;  // at least one
  // Datagrams of `each_bytes` behind each other, the last may be shorter.
  virtual Sent send(const datagram::Address& to, const Slice& bytes, std::size_t each_bytes) = 0;
  // Ends when what waited is sent and the socket takes more.
  virtual Task<Result<>> wait_writable() = 0;
  virtual DatagramInfo info() const = 0;
  virtual Endpoint local() const = 0;
  virtual void close() = 0;  // pending calls end with kLink
};

// "192.0.2.1" or "2001:db8::1" and a port; nothing for a name.
Result<datagram::Address> to_address(const Endpoint& numeric);
Endpoint to_endpoint(const datagram::Address& address);

}  // namespace longhaul::io
