#include "lib/io/local_socket.hpp"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <optional>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

namespace longhaul::io {
namespace asio = boost::asio;
namespace {

using local = asio::local::stream_protocol;
using Socket = asio::basic_stream_socket<local, Executor>;
using LocalAcceptor = asio::basic_socket_acceptor<local, Executor>;
constexpr auto kAwaitLocal = asio::as_tuple(asio::use_awaitable_t<Executor>{});
constexpr int kLocalBacklog = 64;
constexpr std::size_t kLocalPool = 64U << 10;
constexpr std::size_t kLocalRead = 16U << 10;

std::optional<uid_t> user_at(int socket) {
#ifdef SO_PEERCRED
  ::ucred peer{};
  socklen_t size = sizeof peer;
  if (::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return std::nullopt;
  return peer.uid;
#else
  uid_t user = 0;
  gid_t group = 0;
  if (::getpeereid(socket, &user, &group) != 0) return std::nullopt;
  return user;
#endif
}

class LocalStream final : public Stream {
 public:
  explicit LocalStream(Socket socket) : socket_(std::move(socket)), pool_(kLocalPool) {}
  Task<Result<Slice>> read_at_most(std::size_t bytes) override {
    Buffer buffer = pool_.take(std::min(bytes, kLocalRead));
    const MutableBytes room = buffer.bytes();
    const auto target = asio::buffer(room.data(), std::min({room.size(), bytes, kLocalRead}));
    const auto [status, count] = co_await socket_.async_read_some(target, kAwaitLocal);
    if (status == asio::error::eof) co_return Slice();
    if (status) co_return fail(Kind::kLink, "read from a local socket", status.message());
    const Slice read = std::move(buffer).freeze(count);
    co_return Slice::copy_of(read.bytes());  // some bytes: whoever keeps them keeps no more
  }
  Task<Result<>> write(std::vector<Slice> parts) override {
    std::vector<asio::const_buffer> source;
    source.reserve(parts.size());
    for (const Slice& part : parts) source.emplace_back(part.data(), part.size());
    const auto [status, count] = co_await asio::async_write(socket_, source, kAwaitLocal);
    static_cast<void>(count);
    if (status) co_return fail(Kind::kLink, "write to a local socket", status.message());
    co_return Result<>();
  }
  Task<Result<>> wait_writable() override {
    const auto [status] = co_await socket_.async_wait(Socket::wait_write, kAwaitLocal);
    if (status) co_return fail(Kind::kLink, "write to a local socket", status.message());
    co_return Result<>();
  }
  void tune(const StreamTuning&) override {}
  StreamInfo info() const override { return {}; }
  Endpoint peer() const override { return {"local", 0}; }
  void close() override {
    boost::system::error_code ignored;
    socket_.close(ignored);
  }
  void finish() override {
    boost::system::error_code ignored;
    socket_.shutdown(Socket::shutdown_send, ignored);
  }

 private:
  Socket socket_;
  BufferPool pool_;
};

class LocalListener final : public Listener {
 public:
  LocalListener(LocalAcceptor acceptor, std::string path)
      : acceptor_(std::move(acceptor)), path_(std::move(path)) {}
  ~LocalListener() override { close(); }
  Task<Result<std::unique_ptr<Stream>>> accept() override {
    for (;;) {
      auto [status, socket] = co_await acceptor_.async_accept(kAwaitLocal);
      if (status) {
        const bool full = status.value() == EMFILE || status.value() == ENFILE ||
                          status.value() == ENOBUFS || status.value() == ENOMEM;
        co_return fail(full ? Kind::kLimit : Kind::kLink, "accept a command", status.message());
      }
      if (user_at(socket.native_handle()) != ::geteuid()) continue;
      std::unique_ptr<Stream> stream = std::make_unique<LocalStream>(std::move(socket));
      co_return stream;
    }
  }
  Endpoint local() const override { return {path_, 0}; }
  void close() override {
    if (!acceptor_.is_open()) return;
    boost::system::error_code ignored;
    acceptor_.close(ignored);
    ::unlink(path_.c_str());
  }

 private:
  LocalAcceptor acceptor_;
  const std::string path_;
};

Result<local::endpoint> local_endpoint(const std::string& path, const std::string& attempt) {
  if (path.size() >= sizeof(sockaddr_un{}.sun_path)) {
    return fail(
        Error(Kind::kUsage, attempt, "its path is longer than the system takes for a socket")
            .advise("set XDG_RUNTIME_DIR to a folder with a short path"));
  }
  return local::endpoint(path);
}

}  // namespace

Result<std::unique_ptr<Listener>> listen_local(const Executor& executor, const std::string& path) {
  const std::string attempt = "listen at " + path;
  const auto at = TRY(local_endpoint(path, attempt));
  LocalAcceptor acceptor(executor);
  boost::system::error_code status;
  acceptor.open(at.protocol(), status);
  if (status) return fail_errno(attempt, status.value());
  // Before bind(), so that it is nobody else's for no moment; and after it, for systems that take
  // no notice of the first.
  static_cast<void>(::fchmod(acceptor.native_handle(), 0600));
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) return fail_errno(attempt, errno);
  acceptor.bind(at, status);
  if (!status && ::chmod(path.c_str(), 0600) != 0) return fail_errno(attempt, errno);
  if (!status) acceptor.listen(kLocalBacklog, status);
  if (status) return fail_errno(attempt, status.value());
  return std::unique_ptr<Listener>(std::make_unique<LocalListener>(std::move(acceptor), path));
}

Task<Result<std::unique_ptr<Stream>>> dial_local(Executor executor, std::string path) {
  const std::string attempt = "connect to " + path;
  const auto at = local_endpoint(path, attempt);
  if (!at) co_return fail(at.error());
  Socket socket(executor);
  const local::endpoint to = *at;
  const auto [status] = co_await socket.async_connect(to, kAwaitLocal);
  if (status) {
    const int os = status.value();
    const bool nobody = os == ENOENT || os == ECONNREFUSED;
    co_return fail(nobody ? Kind::kNotFound : Error::kind_of_errno(os), attempt, os);
  }
  if (user_at(socket.native_handle()) != ::geteuid())
    co_return fail(Kind::kPermission, attempt, "another user listens there");
  std::unique_ptr<Stream> stream = std::make_unique<LocalStream>(std::move(socket));
  co_return stream;
}

}  // namespace longhaul::io
