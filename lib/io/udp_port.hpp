// UdpPort: DatagramPort on a Linux socket: a thread of its own empties it (udp_reader.hpp), the
// strand sends. Only asio_env.cpp and its own .cpp include this.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <vector>

#include <boost/asio/ip/udp.hpp>
#include <boost/asio/ip/v6_only.hpp>

#include "lib/io/datagram_port.hpp"
#include "lib/io/udp_reader.hpp"

struct sockaddr_storage;

namespace longhaul::io {

using UdpSocket = boost::asio::basic_datagram_socket<boost::asio::ip::udp, Executor>;

class UdpPort final : public DatagramPort {
 public:
  ~UdpPort() override;
  // A socket of the address's family, bound; on "::" it serves IPv4 too.
  static Result<std::unique_ptr<DatagramPort>> open(const Executor& executor, const Endpoint& at,
                                                    DatagramLoad load);

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
  UdpPort(const Executor& executor, int socket, bool v6, DatagramLoad load);
  void tune(int fd);
  Task<Result<>> send_waiting();
  void unwatch();
  Sent put(const datagram::Address& to, Slice& bytes, std::size_t each_bytes);
  Sent put_segments(const sockaddr_storage& to, unsigned to_bytes, Slice& bytes,
                    std::size_t each_bytes);
  Sent put_each(const sockaddr_storage& to, unsigned to_bytes, Slice& bytes,
                std::size_t each_bytes);
  Sent refused(int os, Slice& bytes, std::size_t each_bytes);

  Executor executor_;
  const int socket_;
  std::vector<int> siblings_;  // which only receive
  const bool v6_;
  BufferPool pool_;
  std::deque<Waiting> waiting_;  // at most what one session puts out before it hears kBlocked
  DatagramInfo info_;
  std::unique_ptr<UdpReader> reader_;
  // While the socket is full: asio's watch over a copy of it. Asio would hear of every datagram
  // that comes in, were the socket always its own. The copy is made beforehand: a process that has
  // run out of descriptors still sends.
  const int watched_;
  std::optional<UdpSocket> writable_;
  bool closed_ = false;
};

}  // namespace longhaul::io
