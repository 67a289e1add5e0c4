// TcpStream and its options: the socket calls of Env's streams. Only asio_env.cpp includes this.
#pragma once

#include <memory>

#include <boost/asio/ip/tcp.hpp>

#include "lib/io/env.hpp"

namespace longhaul::io {

using TcpSocket = boost::asio::basic_stream_socket<boost::asio::ip::tcp, Executor>;

// What the kernel says of a TCP socket; zeros and empty texts where it says nothing.
StreamInfo read_stream_info(int socket);
// TCP_MAXSEG before the SYN: neither end sends larger segments.
void limit_segments(int socket, std::uint32_t bytes);

class TcpStream final : public Stream {
 public:
  explicit TcpStream(TcpSocket socket);
  Task<Result<Slice>> read_at_most(std::size_t bytes) override;
  Task<Result<>> write(std::vector<Slice> parts) override;
  Task<Result<>> wait_writable() override;
  void tune(const StreamTuning& tuning) override;
  StreamInfo info() const override;
  Endpoint peer() const override { return peer_; }
  void close() override;
  void finish() override;

 private:
  TcpSocket socket_;
  Endpoint peer_;
  StreamTuning tuned_;
  BufferPool pool_;
};

}  // namespace longhaul::io
