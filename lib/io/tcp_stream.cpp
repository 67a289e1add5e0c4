#include "lib/io/tcp_stream.hpp"

#include <sys/socket.h>

#include <algorithm>
#include <cstddef>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

namespace longhaul::io {
namespace asio = boost::asio;
namespace {

constexpr auto kAwait = asio::as_tuple(asio::use_awaitable_t<Executor>{});
// A path that acknowledges nothing for this long is dead for good; the session gives up on it far
// earlier.
constexpr unsigned kUserTimeoutMs = 60'000;

void set(int socket, int level, int name, const void* value, std::size_t size) {
  // Options are wishes: a kernel that lacks one still carries the bytes, and info() shows the
  // truth.
  static_cast<void>(::setsockopt(socket, level, name, value, static_cast<socklen_t>(size)));
}

template <class Int>
void set(int socket, int level, int name, Int value) {
  set(socket, level, name, &value, sizeof value);
}

}  // namespace

void limit_segments(int socket, std::uint32_t bytes) {
  set(socket, IPPROTO_TCP, TCP_MAXSEG, static_cast<int>(bytes));
}

TcpStream::TcpStream(TcpSocket socket) : socket_(std::move(socket)), pool_(4 * kReadBytes) {
  const int fd = socket_.native_handle();
  set(fd, IPPROTO_TCP, TCP_NODELAY, 1);
  set(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, kUserTimeoutMs);
  boost::system::error_code status;
  const auto remote = socket_.remote_endpoint(status);
  if (!status) peer_ = {remote.address().to_string(), remote.port()};
}

Task<Result<Slice>> TcpStream::read_at_most(std::size_t bytes) {
  Buffer buffer = pool_.take(std::min(bytes, kReadBytes));
  const MutableBytes room = buffer.bytes();
  const auto target = asio::buffer(room.data(), std::min(room.size(), bytes));
  const auto [status, count] = co_await socket_.async_read_some(target, kAwait);
  if (status == asio::error::eof) co_return Slice();
  if (status) co_return fail(Kind::kLink, "read from " + to_text(peer_), status.message());
  Slice all = std::move(buffer).freeze(count);
  // A few bytes must not hold a large block for as long as somebody keeps them.
  if (count < kReadBytes / 8) all = Slice::copy_of(all.bytes());
  co_return all;
}

Task<Result<>> TcpStream::write(std::vector<Slice> parts) {
  std::vector<asio::const_buffer> source;
  source.reserve(parts.size());
  for (const Slice& part : parts) source.emplace_back(part.data(), part.size());
  const auto [status, count] = co_await asio::async_write(socket_, source, kAwait);
  static_cast<void>(count);
  if (status) co_return fail(Kind::kLink, "write to " + to_text(peer_), status.message());
  co_return Result<>();
}

Task<Result<>> TcpStream::wait_writable() {
  const auto [status] = co_await socket_.async_wait(TcpSocket::wait_write, kAwait);
  if (status) co_return fail(Kind::kLink, "write to " + to_text(peer_), status.message());
  co_return Result<>();
}

void TcpStream::tune(const StreamTuning& tuning) {
  if (!socket_.is_open()) return;
  const int fd = socket_.native_handle();
  if (tuning.pacing != tuned_.pacing) {
    const std::uint64_t rate =
        tuning.pacing.value() == 0 ? ~std::uint64_t{0} : tuning.pacing.value();
    set(fd, SOL_SOCKET, SO_MAX_PACING_RATE, rate);
  }
  if (tuning.unsent_max_bytes != tuned_.unsent_max_bytes)
    set(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, tuning.unsent_max_bytes);
  if (tuning.bbr && !tuned_.bbr) set(fd, IPPROTO_TCP, TCP_CONGESTION, "bbr", 3);
  tuned_ = tuning;
}

StreamInfo TcpStream::info() const {
  auto& socket = const_cast<TcpSocket&>(socket_);  // native_handle() is not const
  return socket.is_open() ? read_stream_info(socket.native_handle()) : StreamInfo();
}

void TcpStream::close() {
  boost::system::error_code ignored;
  socket_.close(ignored);
}

void TcpStream::finish() {
  boost::system::error_code ignored;
  socket_.shutdown(TcpSocket::shutdown_send, ignored);
}

}  // namespace longhaul::io
