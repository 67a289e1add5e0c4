#include "lib/io/udp_port.hpp"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "lib/io/udp_group.hpp"

namespace longhaul::io {
namespace asio = boost::asio;
namespace {

using udp = asio::ip::udp;
constexpr auto kAwait = asio::as_tuple(asio::use_awaitable_t<Executor>{});

constexpr std::size_t kSegmentsMax = 64;  // UDP_MAX_SEGMENTS of older kernels
constexpr std::size_t kSegmentedBytesMax = 65'000;
// Batches of sessions that had something on its way out when the socket filled; more are lost.
constexpr std::size_t kWaitingMax = 1024;
// Asked for; the kernel gives what net.core.rmem_max allows (212,992 on an untuned host).
constexpr int kBufferBytes = 8 << 20;
constexpr std::size_t kSiblings = 23;  // 24 of 208 KiB hold 100 ms of 500 Mbit/s

// Of <linux/udp.h>, which cannot stand beside <netinet/udp.h>.
constexpr int kUdpSegment = 103;
constexpr int kUdpGro = 104;

void set(int socket, int level, int name, int value) {
  // Options are wishes: what a kernel lacks shows in info().
  static_cast<void>(::setsockopt(socket, level, name, &value, sizeof value));
}

bool is_v4(const datagram::Address& address) {
  static constexpr std::array<std::byte, 12> kMapped{
      {{}, {}, {}, {}, {}, {}, {}, {}, {}, {}, std::byte{0xFF}, std::byte{0xFF}}};
  return std::equal(kMapped.begin(), kMapped.end(), address.ip.begin());
}

socklen_t to_socket(const datagram::Address& address, bool v6, sockaddr_storage& out) {
  out = {};
  if (v6) {
    sockaddr_in6 to{};
    to.sin6_family = AF_INET6;
    to.sin6_port = htons(address.port);
    std::memcpy(&to.sin6_addr, address.ip.data(), 16);
    std::memcpy(&out, &to, sizeof to);
    return sizeof to;
  }
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(address.port);
  std::memcpy(&to.sin_addr, address.ip.data() + 12, 4);
  std::memcpy(&out, &to, sizeof to);
  return sizeof to;
}

}  // namespace

Result<datagram::Address> to_address(const Endpoint& numeric) {
  boost::system::error_code status;
  const auto ip = asio::ip::make_address(numeric.host, status);
  if (status) return fail(Kind::kUsage, "use the address " + numeric.host, "it is not numeric");
  datagram::Address address;
  address.port = numeric.port;
  const auto v6 =
      ip.is_v6() ? ip.to_v6() : asio::ip::make_address_v6(asio::ip::v4_mapped, ip.to_v4());
  const auto bytes = v6.to_bytes();
  std::memcpy(address.ip.data(), bytes.data(), bytes.size());
  return address;
}

Endpoint to_endpoint(const datagram::Address& address) {
  asio::ip::address_v6::bytes_type bytes;
  std::memcpy(bytes.data(), address.ip.data(), bytes.size());
  const asio::ip::address_v6 v6(bytes);
  if (v6.is_v4_mapped())
    return {asio::ip::make_address_v4(asio::ip::v4_mapped, v6).to_string(), address.port};
  return {v6.to_string(), address.port};
}

UdpPort::UdpPort(const Executor& executor, int socket, bool v6, DatagramLoad load)
    : executor_(executor),
      socket_(socket),
      v6_(v6),
      pool_(4 * UdpReader::kReceiveBatch * UdpReader::kReceiveBytes),
      watched_(::fcntl(socket, F_DUPFD_CLOEXEC, 0)) {
  tune(socket_);
  if (load == DatagramLoad::kBulk) siblings_ = open_siblings(socket_, kSiblings);
  for (const int fd : siblings_) tune(fd);
}

UdpPort::~UdpPort() {
  close();
  reader_.reset();
  unwatch();
  if (watched_ >= 0) ::close(watched_);
  ::close(socket_);
  for (const int fd : siblings_) ::close(fd);
}

Result<std::unique_ptr<DatagramPort>> UdpPort::open(const Executor& executor, const Endpoint& at,
                                                    DatagramLoad load) {
  const std::string attempt = "open UDP port " + to_text(at);
  boost::system::error_code status;
  const auto address = asio::ip::make_address(at.host, status);
  if (status) return fail(Kind::kUsage, attempt, "the host must be an address of this machine");
  UdpSocket socket(executor);
  socket.open(address.is_v6() ? udp::v6() : udp::v4(), status);
  if (!status && address.is_v6())
    socket.set_option(asio::ip::v6_only(!address.is_unspecified()), status);
  if (!status) socket.bind(udp::endpoint(address, at.port), status);
  if (!status) socket.non_blocking(true, status);
  if (status) {
    const int os = status.value();
    return fail(os == EADDRINUSE ? Kind::kBusy : Error::kind_of_errno(os), attempt, os);
  }
  const int fd = socket.release(status);  // from asio's own watch
  if (status) return fail(Error::kind_of_errno(status.value()), attempt, status.value());
  // The strand's thread, which is this one: woken 10 ms late, it sends that much less.
  ask_for_short_slices();
  std::unique_ptr<UdpPort> port(new UdpPort(executor, fd, address.is_v6(), load));
  if (port->watched_ < 0) return fail(Kind::kLimit, attempt, "no descriptor is left");
  try {
    std::vector<int> sockets{fd};
    sockets.insert(sockets.end(), port->siblings_.begin(), port->siblings_.end());
    port->reader_ = std::make_unique<UdpReader>(sockets, executor, port->pool_);
  } catch (const std::system_error& error) {
    return fail(Kind::kLimit, attempt, error.code().value());
  }
  return std::unique_ptr<DatagramPort>(std::move(port));
}

void UdpPort::tune(int fd) {
  ::fcntl(fd, F_SETFD, FD_CLOEXEC);
  set(fd, SOL_SOCKET, SO_RCVBUF, kBufferBytes);
  set(fd, SOL_SOCKET, SO_RCVBUFFORCE, kBufferBytes);  // past rmem_max, where CAP_NET_ADMIN is had
  set(fd, SOL_SOCKET, SO_SNDBUF, kBufferBytes);
  set(fd, SOL_SOCKET, SO_RXQ_OVFL, 1);
  set(fd, SOL_SOCKET, SO_TIMESTAMPNS, 1);
  // Sizes are found by probing: never fragment, and do not believe a cached path MTU either.
  set(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_PROBE);
  if (v6_) set(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_PROBE);
  const int on = 1, off = 0;
  info_.coalesces = ::setsockopt(fd, IPPROTO_UDP, kUdpGro, &on, sizeof on) == 0;
  // Set to nothing: it only asks whether the kernel knows the option. The size goes with each call.
  info_.segments = ::setsockopt(fd, IPPROTO_UDP, kUdpSegment, &off, sizeof off) == 0;
}

void UdpPort::without_offload() {
  set(socket_, IPPROTO_UDP, kUdpGro, 0);
  for (const int fd : siblings_) set(fd, IPPROTO_UDP, kUdpGro, 0);
  info_.coalesces = info_.segments = false;
}

Task<Result<std::vector<ReceivedDatagrams>>> UdpPort::receive() {
  return reader_->receive();
}

DatagramPort::Sent UdpPort::send(const datagram::Address& to, const Slice& bytes,
                                 std::size_t each_bytes) {
  if (closed_ || bytes.empty() || each_bytes == 0) return Sent::kAll;
  if (!v6_ && !is_v4(to)) {
    ++info_.unsendable;
    return Sent::kAll;
  }
  if (!waiting_.empty()) {
    if (waiting_.size() < kWaitingMax)
      waiting_.push_back({to, bytes, each_bytes});
    else
      ++info_.unsendable;
    return Sent::kBlocked;
  }
  Slice left = bytes;
  const Sent sent = put(to, left, each_bytes);
  if (sent == Sent::kBlocked) waiting_.push_back({to, left, each_bytes});
  return sent;
}

// What could not be sent yet stays in `bytes`.
DatagramPort::Sent UdpPort::put(const datagram::Address& to, Slice& bytes, std::size_t each_bytes) {
  sockaddr_storage target;
  const socklen_t target_bytes = to_socket(to, v6_, target);
  while (!bytes.empty()) {
    const bool many = info_.segments && bytes.size() > each_bytes;
    const Sent sent = many ? put_segments(target, target_bytes, bytes, each_bytes)
                           : put_each(target, target_bytes, bytes, each_bytes);
    if (sent != Sent::kAll) return sent;
  }
  return Sent::kAll;
}

// One call, which the kernel or the card cuts into datagrams.
DatagramPort::Sent UdpPort::put_segments(const sockaddr_storage& to, unsigned to_bytes,
                                         Slice& bytes, std::size_t each_bytes) {
  const std::size_t segments = std::min(kSegmentsMax, kSegmentedBytesMax / each_bytes);
  const std::size_t length =
      std::min(bytes.size(), std::max<std::size_t>(1, segments) * each_bytes);
  iovec part{const_cast<std::byte*>(bytes.data()), length};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(std::uint16_t))> control{};
  msghdr message{};
  message.msg_name = const_cast<sockaddr_storage*>(&to);
  message.msg_namelen = to_bytes;
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  cmsghdr* const note = CMSG_FIRSTHDR(&message);
  note->cmsg_level = IPPROTO_UDP;
  note->cmsg_type = kUdpSegment;
  note->cmsg_len = CMSG_LEN(sizeof(std::uint16_t));
  const auto size = static_cast<std::uint16_t>(each_bytes);
  std::memcpy(CMSG_DATA(note), &size, sizeof size);
  ++info_.send_calls;
  if (::sendmsg(socket_, &message, MSG_DONTWAIT) < 0) {
    const int os = errno;
    if (os != EIO && os != EINVAL && os != EOPNOTSUPP) return refused(os, bytes, length);
    // A device that cannot checksum, a kernel that does not know this use, or a size the route no
    // longer takes: one by one they say which.
    const std::uint64_t before = info_.sent;
    const Sent one_by_one = put_each(to, to_bytes, bytes, each_bytes);
    if (info_.sent > before) info_.segments = false;
    return one_by_one;
  }
  info_.sent += (length + each_bytes - 1) / each_bytes;
  bytes = bytes.from(length);
  return Sent::kAll;
}

DatagramPort::Sent UdpPort::put_each(const sockaddr_storage& to, unsigned to_bytes, Slice& bytes,
                                     std::size_t each_bytes) {
  std::array<mmsghdr, kSegmentsMax> messages{};
  std::array<iovec, kSegmentsMax> parts{};
  std::size_t count = 0;
  for (std::size_t at = 0; at < bytes.size() && count < kSegmentsMax; at += each_bytes, ++count) {
    parts[count] = {const_cast<std::byte*>(bytes.data()) + at,
                    std::min(each_bytes, bytes.size() - at)};
    messages[count].msg_hdr.msg_name = const_cast<sockaddr_storage*>(&to);
    messages[count].msg_hdr.msg_namelen = to_bytes;
    messages[count].msg_hdr.msg_iov = &parts[count];
    messages[count].msg_hdr.msg_iovlen = 1;
  }
  ++info_.send_calls;
  const int taken =
      ::sendmmsg(socket_, messages.data(), static_cast<unsigned>(count), MSG_DONTWAIT);
  if (taken < 0) return refused(errno, bytes, each_bytes);
  info_.sent += static_cast<std::uint64_t>(taken);
  bytes = bytes.from(std::min(bytes.size(), static_cast<std::size_t>(taken) * each_bytes));
  return Sent::kAll;
}

// The first `length` bytes were not taken.
DatagramPort::Sent UdpPort::refused(int os, Slice& bytes, std::size_t length) {
  if (os == EINTR) return Sent::kAll;
  if (os == EAGAIN || os == EWOULDBLOCK || os == ENOBUFS) return Sent::kBlocked;
  if (os == EMSGSIZE) return Sent::kTooBig;
  ++info_.unsendable;
  bytes = bytes.from(std::min(bytes.size(), length));
  return Sent::kAll;
}

Task<Result<>> UdpPort::wait_writable() {
  if (closed_) co_return fail(Kind::kLink, "send datagrams", "the port is closed");
  boost::system::error_code status;
  writable_.emplace(executor_);
  writable_->assign(v6_ ? udp::v6() : udp::v4(), watched_, status);
  if (status) {
    writable_.reset();
    co_return fail(Kind::kLimit, "wait for room to send datagrams", status.message());
  }
  const Result<> sent = co_await send_waiting();
  unwatch();
  co_return sent;
}

void UdpPort::unwatch() {
  boost::system::error_code ignored;
  if (writable_) static_cast<void>(writable_->release(ignored));  // ours stays open
  writable_.reset();
}

Task<Result<>> UdpPort::send_waiting() {
  for (;;) {
    const auto [status] = co_await writable_->async_wait(UdpSocket::wait_write, kAwait);
    if (status) co_return fail(Kind::kLink, "send datagrams", status.message());
    while (!waiting_.empty()) {
      Waiting& first = waiting_.front();
      if (put(first.to, first.bytes, first.each_bytes) == Sent::kBlocked) break;
      waiting_.pop_front();
    }
    if (waiting_.empty()) co_return Result<>();
  }
}

DatagramInfo UdpPort::info() const {
  DatagramInfo info = info_;
  const auto size_of = [this](int name) {
    int value = 0;
    socklen_t length = sizeof value;
    if (::getsockopt(socket_, SOL_SOCKET, name, &value, &length) != 0) return std::uint32_t{0};
    return static_cast<std::uint32_t>(value);
  };
  const UdpReader::Counters counters = reader_->counters();
  info.received = counters.received;
  info.receive_calls = counters.receive_calls;
  info.overrun = counters.overrun;
  info.send_buffer_bytes = size_of(SO_SNDBUF);
  info.receive_buffer_bytes = size_of(SO_RCVBUF);
  return info;
}

Endpoint UdpPort::local() const {
  sockaddr_storage at{};
  socklen_t length = sizeof at;
  if (::getsockname(socket_, reinterpret_cast<sockaddr*>(&at), &length) != 0) return {};
  udp::endpoint local;
  std::memcpy(local.data(), &at, std::min<std::size_t>(length, local.capacity()));
  local.resize(length);
  return {local.address().to_string(), local.port()};
}

void UdpPort::close() {
  if (std::exchange(closed_, true)) return;
  if (reader_ != nullptr) reader_->stop();
  boost::system::error_code ignored;
  if (writable_) writable_->cancel(ignored);
  waiting_.clear();
}

}  // namespace longhaul::io
