// What tune() asks of the kernel, read back from the socket.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>

#include "lib/io/asio_env.hpp"
#include "lib/io/task_group.hpp"

namespace {
std::atomic<bool> refuses_congestion_control = false;  // as a kernel without that module does
}

extern "C" int setsockopt(int fd, int level, int name, const void* value,
                          socklen_t bytes) noexcept {
  if (refuses_congestion_control && level == IPPROTO_TCP && name == TCP_CONGESTION) {
    errno = ENOENT;
    return -1;
  }
  return static_cast<int>(::syscall(SYS_setsockopt, fd, level, name, value, bytes));
}

namespace longhaul::io {
namespace {

// Our end of the connection to `port` on loopback.
int socket_to(std::uint16_t port) {
  for (int fd = 3; fd < 1024; ++fd) {
    ::sockaddr_in peer{};
    socklen_t size = sizeof peer;
    if (::getpeername(fd, reinterpret_cast<sockaddr*>(&peer), &size) == 0 &&
        peer.sin_family == AF_INET && ntohs(peer.sin_port) == port)
      return fd;
  }
  ADD_FAILURE() << "there is no such connection";
  return -1;
}

template <class T>
T option(int fd, int level, int name) {
  T value{};
  socklen_t size = sizeof value;
  EXPECT_EQ(::getsockopt(fd, level, name, &value, &size), 0);
  return value;
}

Task<> take_all(Listener& listener, std::size_t& bytes) {
  auto accepted = co_await listener.accept();
  auto stream = std::move(*accepted);
  for (;;) {
    const Result<Slice> in = co_await stream->read();
    if (!in || in->empty()) break;
    bytes += in->size();
  }
}

Task<> tuned(Env& env, std::function<void(Stream&, int)> look, std::size_t& bytes) {
  auto listener = env.listen({"127.0.0.1", 0});
  TaskGroup group(env.executor());
  group.spawn(take_all(**listener, bytes));
  const Endpoint there = (*listener)->local();
  const StreamOptions options;
  auto dialed = co_await env.dial(there, options);
  auto stream = std::move(*dialed);
  look(*stream, socket_to(there.port));
  std::vector<Slice> parts{Slice::copy_of("still carried")};
  const Result<> sent = co_await stream->write(std::move(parts));
  EXPECT_TRUE(sent.has_value());
  stream->finish();
  co_await group.join();
}

void with_stream(const std::function<void(Stream&, int)>& look) {
  AsioEnv env;
  std::size_t bytes = 0;
  env.run(tuned(env, look, bytes), {});
  EXPECT_EQ(bytes, std::string_view("still carried").size());
}

TEST(TcpStream, TuneSetsThePaceAndWhatTheKernelHolds) {
  with_stream([](Stream& stream, int fd) {
    stream.tune({BytesPerSecond(12'345'678), 49'152, false});
    EXPECT_EQ(option<std::uint64_t>(fd, SOL_SOCKET, SO_MAX_PACING_RATE), 12'345'678U);
    EXPECT_EQ(option<std::uint32_t>(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT), 49'152U);
    stream.tune({BytesPerSecond(20'000'000'000), 65'536, false});  // beyond 32 bits
    EXPECT_EQ(option<std::uint64_t>(fd, SOL_SOCKET, SO_MAX_PACING_RATE), 20'000'000'000U);
    EXPECT_EQ(option<std::uint32_t>(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT), 65'536U);
    stream.tune({BytesPerSecond(0), 65'536, false});  // lifted
    EXPECT_EQ(option<std::uint64_t>(fd, SOL_SOCKET, SO_MAX_PACING_RATE), ~std::uint64_t{0});
  });
}

TEST(TcpStream, TuneAsksForBbrWhereTheKernelHasIt) {
  with_stream([](Stream& stream, int fd) {
    const bool has = ::setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "bbr", 3) == 0;
    ASSERT_EQ(::setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "reno", 4), 0);
    stream.tune({{}, 0, false});
    EXPECT_EQ(stream.info().congestion_control, "reno");
    stream.tune({{}, 0, true});
    EXPECT_EQ(stream.info().congestion_control, has ? "bbr" : "reno");
  });
}

TEST(TcpStream, ARefusedBbrGoesOnWithWhatThereIs) {
  with_stream([](Stream& stream, int fd) {
    ASSERT_EQ(::setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "reno", 4), 0);
    refuses_congestion_control = true;
    stream.tune({BytesPerSecond(1'000'000), 49'152, true});
    refuses_congestion_control = false;
    EXPECT_EQ(stream.info().congestion_control, "reno");
    EXPECT_EQ(option<std::uint64_t>(fd, SOL_SOCKET, SO_MAX_PACING_RATE), 1'000'000U);
    EXPECT_EQ(option<std::uint32_t>(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT), 49'152U);
  });
}

}  // namespace
}  // namespace longhaul::io
