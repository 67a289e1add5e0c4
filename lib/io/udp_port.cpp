#include "lib/io/udp_port.hpp"

#include <netinet/in.h>
#include <netinet/udp.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace longhaul::io {
namespace asio = boost::asio;
namespace {

using udp = asio::ip::udp;
constexpr auto kAwait = asio::as_tuple(asio::use_awaitable_t<Executor>{});

// A datagram's largest size, and so that of what UDP_GRO puts together.
constexpr std::size_t kReceiveBytes = 65'536;
constexpr std::size_t kReceiveBatch = 16;  // system calls a wakeup: 1 MiB at most
constexpr std::size_t kSegmentsMax = 64;   // UDP_MAX_SEGMENTS of older kernels
constexpr std::size_t kSegmentedBytesMax = 65'000;
// Batches of sessions that had something on its way out when the socket filled; more are lost.
constexpr std::size_t kWaitingMax = 1024;
// Asked for; the kernel gives what net.core.rmem_max allows (212,992 on an untuned host).
constexpr int kBufferBytes = 8 << 20;
// Below this a block of 64 KiB would be held for a few bytes.
constexpr std::size_t kKeepWhole = kReceiveBytes / 8;

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

datagram::Address from_socket(const sockaddr_storage& in) {
  datagram::Address address;
  if (in.ss_family == AF_INET6) {
    sockaddr_in6 from{};
    std::memcpy(&from, &in, sizeof from);
    std::memcpy(address.ip.data(), &from.sin6_addr, 16);
    address.port = ntohs(from.sin6_port);
    return address;
  }
  sockaddr_in from{};
  std::memcpy(&from, &in, sizeof from);
  address.ip[10] = address.ip[11] = std::byte{0xFF};
  std::memcpy(address.ip.data() + 12, &from.sin_addr, 4);
  address.port = ntohs(from.sin_port);
  return address;
}

// Ancillary bytes of one received message.
struct Control {
  alignas(cmsghdr) std::array<char, 128> bytes;
};

struct Notes {
  std::size_t each_bytes = 0;  // 0: one datagram
  std::uint32_t overrun = 0;
  bool has_overrun = false;
};
Notes notes_of(msghdr& message) {
  Notes notes;
  for (cmsghdr* c = CMSG_FIRSTHDR(&message); c != nullptr; c = CMSG_NXTHDR(&message, c)) {
    int value = 0;
    if (c->cmsg_len < CMSG_LEN(sizeof value)) continue;
    std::memcpy(&value, CMSG_DATA(c), sizeof value);
    if (c->cmsg_level == IPPROTO_UDP && c->cmsg_type == kUdpGro && value > 0)
      notes.each_bytes = static_cast<std::size_t>(value);
    if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SO_RXQ_OVFL) {
      notes.overrun = static_cast<std::uint32_t>(value);
      notes.has_overrun = true;
    }
  }
  return notes;
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

UdpPort::UdpPort(UdpSocket socket, bool v6)
    : socket_(std::move(socket)), v6_(v6), pool_(4 * kReceiveBatch * kReceiveBytes) {
  tune();
}

Result<std::unique_ptr<DatagramPort>> UdpPort::open(const Executor& executor, const Endpoint& at) {
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
  return std::unique_ptr<DatagramPort>(new UdpPort(std::move(socket), address.is_v6()));
}

void UdpPort::tune() {
  const int fd = handle();
  set(fd, SOL_SOCKET, SO_RCVBUF, kBufferBytes);
  set(fd, SOL_SOCKET, SO_SNDBUF, kBufferBytes);
  set(fd, SOL_SOCKET, SO_RXQ_OVFL, 1);
  // Sizes are found by probing: never fragment, and do not believe a cached path MTU either.
  set(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_PROBE);
  if (v6_) set(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_PROBE);
  const int on = 1, off = 0;
  info_.coalesces = ::setsockopt(fd, IPPROTO_UDP, kUdpGro, &on, sizeof on) == 0;
  // Set to nothing: it only asks whether the kernel knows the option. The size goes with each call.
  info_.segments = ::setsockopt(fd, IPPROTO_UDP, kUdpSegment, &off, sizeof off) == 0;
}

void UdpPort::without_offload() {
  set(handle(), IPPROTO_UDP, kUdpGro, 0);
  info_.coalesces = info_.segments = false;
}

int UdpPort::handle() const {
  return const_cast<UdpSocket&>(socket_).native_handle();  // native_handle() is not const
}

Task<Result<std::vector<ReceivedDatagrams>>> UdpPort::receive() {
  std::vector<ReceivedDatagrams> got;
  for (;;) {
    if (!socket_.is_open()) co_return fail(Kind::kLink, "receive datagrams", "the port is closed");
    if (receive_now(got)) co_return got;
    const auto [status] = co_await socket_.async_wait(UdpSocket::wait_read, kAwait);
    if (status) co_return fail(Kind::kLink, "receive datagrams", status.message());
  }
}

bool UdpPort::receive_now(std::vector<ReceivedDatagrams>& out) {
  std::array<mmsghdr, kReceiveBatch> messages{};
  std::array<iovec, kReceiveBatch> parts{};
  std::array<sockaddr_storage, kReceiveBatch> from{};
  std::array<Control, kReceiveBatch> control;
  while (buffers_.size() < kReceiveBatch) buffers_.push_back(pool_.take(kReceiveBytes));
  for (std::size_t i = 0; i < kReceiveBatch; ++i) {
    parts[i] = {buffers_[i].bytes().data(), kReceiveBytes};
    msghdr& header = messages[i].msg_hdr;
    header.msg_name = &from[i];
    header.msg_namelen = sizeof from[i];
    header.msg_iov = &parts[i];
    header.msg_iovlen = 1;
    header.msg_control = control[i].bytes.data();
    header.msg_controllen = control[i].bytes.size();
  }
  const int count = ::recvmmsg(handle(), messages.data(), kReceiveBatch, MSG_DONTWAIT, nullptr);
  ++info_.receive_calls;
  // Nothing, or an error that belongs to some earlier send (ICMP): the next call sees the rest.
  if (count <= 0) return false;
  for (std::size_t i = 0; i < static_cast<std::size_t>(count); ++i) {
    const std::size_t length = messages[i].msg_len;
    const Notes notes = notes_of(messages[i].msg_hdr);
    if (notes.has_overrun) info_.overrun = notes.overrun;
    if (length == 0 || (messages[i].msg_hdr.msg_flags & MSG_TRUNC) != 0) continue;
    const std::size_t each = notes.each_bytes == 0 ? length : notes.each_bytes;
    info_.received += (length + each - 1) / each;
    Slice bytes =
        length < kKeepWhole
            ? Slice::copy_of(Bytes(buffers_[i].bytes()).first(length))
            : std::move(std::exchange(buffers_[i], pool_.take(kReceiveBytes))).freeze(length);
    out.push_back({from_socket(from[i]), std::move(bytes), each});
  }
  return !out.empty();
}

DatagramPort::Sent UdpPort::send(const datagram::Address& to, const Slice& bytes,
                                 std::size_t each_bytes) {
  if (!socket_.is_open() || bytes.empty() || each_bytes == 0) return Sent::kAll;
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
  if (::sendmsg(handle(), &message, MSG_DONTWAIT) < 0) {
    const int os = errno;
    if (os != EIO && os != EINVAL && os != EOPNOTSUPP) return refused(os, bytes, length);
    // A device that cannot checksum, a kernel that does not know this use, or a size the route no
    // longer takes: one by one they say which.
    const Sent one_by_one = put_each(to, to_bytes, bytes, each_bytes);
    if (one_by_one == Sent::kAll) info_.segments = false;
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
      ::sendmmsg(handle(), messages.data(), static_cast<unsigned>(count), MSG_DONTWAIT);
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
  for (;;) {
    const auto [status] = co_await socket_.async_wait(UdpSocket::wait_write, kAwait);
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
    if (!socket_.is_open() || ::getsockopt(handle(), SOL_SOCKET, name, &value, &length) != 0)
      return std::uint32_t{0};
    return static_cast<std::uint32_t>(value);
  };
  info.send_buffer_bytes = size_of(SO_SNDBUF);
  info.receive_buffer_bytes = size_of(SO_RCVBUF);
  return info;
}

Endpoint UdpPort::local() const {
  boost::system::error_code ignored;
  const auto at = socket_.local_endpoint(ignored);
  return {at.address().to_string(), at.port()};
}

void UdpPort::close() {
  boost::system::error_code ignored;
  socket_.close(ignored);
  waiting_.clear();
}

}  // namespace longhaul::io
