// UdpPort: DatagramPort on a Linux socket. Only asio_env.cpp and its own .cpp include this.
#pragma once

#include <deque>
#include <memory>

#include <boost/asio/ip/udp.hpp>
#include <boost/asio/ip/v6_only.hpp>

#include "lib/io/datagram_port.hpp"

struct sockaddr_storage;

namespace longhaul::io {

using UdpSocket = boost::asio::basic_datagram_socket<boost::asio::ip::udp, Executor>;

class UdpPort final : public DatagramPort {
 public:
  // A socket of the address's family, bound; on "::" it serves IPv4 too.
  static Result<std::unique_ptr<DatagramPort>> open(const Executor& executor, const Endpoint& at);

  Task<Result<std::vector<ReceivedDatagrams>>> receive() override;
  Sent send(const datagram::Address& to, const Slice& bytes, std::size_t each_bytes) override;
  Task<Result<>> wait_writable() override;
  DatagramInfo info() const override;
  Endpoint local() const override;
  void close() override;

  // For tests: as on a kernel that has neither.
  void without_offload();

 private:
  struct Waiting {
    datagram::Address to;
    Slice bytes;
    std::size_t each_bytes;
  };
  UdpPort(UdpSocket socket, bool v6);
  void tune();
  int handle() const;
  bool receive_now(std::vector<ReceivedDatagrams>& out);
  Sent put(const datagram::Address& to, Slice& bytes, std::size_t each_bytes);
  Sent put_segments(const sockaddr_storage& to, unsigned to_bytes, Slice& bytes,
                    std::size_t each_bytes);
  Sent put_each(const sockaddr_storage& to, unsigned to_bytes, Slice& bytes,
                std::size_t each_bytes);
  Sent refused(int os, Slice& bytes, std::size_t each_bytes);

  UdpSocket socket_;
  const bool v6_;
  BufferPool pool_;
  std::deque<Waiting> waiting_;  // at most what one session puts out before it hears kBlocked
  std::vector<Buffer> buffers_;  // for the next receive
  DatagramInfo info_;
};

}  // namespace longhaul::io
