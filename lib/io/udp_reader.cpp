#include "lib/io/udp_reader.hpp"

#include <netinet/in.h>
#include <netinet/udp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <iterator>
#include <optional>
#include <system_error>
#include <utility>

#include <boost/asio/post.hpp>

namespace longhaul::io {

namespace {
// Below this a block of 64 KiB would be held for a few bytes.
constexpr std::size_t kKeepWhole = UdpReader::kReceiveBytes / 8;
constexpr std::size_t kHeldMax = 16U << 20;  // 270 ms of 500 Mbit/s; read but not taken, too

// What a slice of so many bytes keeps from the pool.
std::size_t held_by(std::size_t bytes) {
  return bytes < kKeepWhole ? bytes : UdpReader::kReceiveBytes;
}
constexpr Duration kWaitMax = 2s;
// After a turn that brought something. At 500 Mbit/s a datagram comes every 24 us, and to be woken
// for each cost half of what receiving costs; the stamps are the kernel's, so nobody sees the pause
// but a reply, and only one within so much of the datagram before. 10 Gbit/s bring 13 datagrams to
// each of 24 sockets meanwhile, which have room for 90.
constexpr Duration kPause = 300us;
constexpr std::size_t kCallsMost = 16;  // of one socket before the others have their turn
constexpr int kGroSize = 104;  // of <linux/udp.h>, which cannot stand beside <netinet/udp.h>

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

Duration clock_of(clockid_t which) {
  timespec at{};
  ::clock_gettime(which, &at);
  return std::chrono::seconds(at.tv_sec) + std::chrono::nanoseconds(at.tv_nsec);
}

// How far CLOCK_BOOTTIME is ahead of the wall clock. A thread that lost its turn between the two
// looks again.
Duration boot_ahead() {
  for (int tries = 0;; ++tries) {
    const Duration before = clock_of(CLOCK_BOOTTIME), wall = clock_of(CLOCK_REALTIME),
                   after = clock_of(CLOCK_BOOTTIME);
    if (after - before < 20us || tries == 3) return before + (after - before) / 2 - wall;
  }
}

struct Notes {
  std::size_t each_bytes = 0;  // 0: one datagram
  std::optional<Duration> stamp;
  std::uint32_t overrun = 0;
  bool has_overrun = false;
};
Notes notes_of(msghdr& message) {
  Notes notes;
  for (cmsghdr* c = CMSG_FIRSTHDR(&message); c != nullptr; c = CMSG_NXTHDR(&message, c)) {
    if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_TIMESTAMPNS &&
        c->cmsg_len >= CMSG_LEN(sizeof(timespec))) {
      timespec at{};
      std::memcpy(&at, CMSG_DATA(c), sizeof at);
      notes.stamp = std::chrono::seconds(at.tv_sec) + std::chrono::nanoseconds(at.tv_nsec);
      continue;
    }
    int value = 0;
    if (c->cmsg_len < CMSG_LEN(sizeof value)) continue;
    std::memcpy(&value, CMSG_DATA(c), sizeof value);
    if (c->cmsg_level == IPPROTO_UDP && c->cmsg_type == kGroSize && value > 0)
      notes.each_bytes = static_cast<std::size_t>(value);
    if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SO_RXQ_OVFL) {
      notes.overrun = static_cast<std::uint32_t>(value);
      notes.has_overrun = true;
    }
  }
  return notes;
}
}  // namespace

Time came_at(std::optional<Duration> stamp, Duration ahead, Time now, Time emptied) {
  if (!stamp.has_value()) return now;
  return std::clamp(Time{*stamp + ahead}, std::min(std::max(emptied, now - kWaitMax), now), now);
}

// A short slice: the scheduler lets who asks for little run soon (Linux 6.12; older kernels take
// the call and ignore it). A thread that waits a turn of 3 ms behind its neighbours loses packets.
void ask_for_short_slices() {
  struct SchedAttr {  // of <linux/sched/types.h>, which cannot stand beside <sched.h>
    std::uint32_t size = sizeof(SchedAttr), policy = 0;  // SCHED_OTHER
    std::uint64_t flags = 1;  // SCHED_FLAG_RESET_ON_FORK: threads that it starts are as any
    std::int32_t nice = ::getpriority(PRIO_PROCESS, 0);
    std::uint32_t priority = 0;
    std::uint64_t runtime_ns = 100'000, deadline_ns = 0, period_ns = 0;
  };
  const SchedAttr wish;
  static_cast<void>(::syscall(SYS_sched_setattr, 0, &wish, 0));
}

// The thread's own: buffers for the next call, and what one call brought.
class UdpReader::Fetch {
 public:
  explicit Fetch(BufferPool& pool) : pool_(pool) {}

  // All that is in the socket, or kCallsMost calls of it, while less than kHeldMax is `held` of
  // all sockets: the kernel's buffers are the better place for the rest.
  void empty(UdpReader::Socket& from, Duration ahead, std::vector<ReceivedDatagrams>& out,
             std::size_t& held) {
    for (std::size_t calls = 0; calls < kCallsMost && held < kHeldMax; ++calls)
      if (!take(from, ahead, out, held)) break;
  }

 private:
  // False: that was all.
  bool take(UdpReader::Socket& from, Duration ahead, std::vector<ReceivedDatagrams>& out,
            std::size_t& held) {
    while (buffers_.size() < kReceiveBatch) buffers_.push_back(pool_.take(kReceiveBytes));
    for (std::size_t i = 0; i < kReceiveBatch; ++i) {
      parts_[i] = {buffers_[i].bytes().data(), kReceiveBytes};
      msghdr& header = messages_[i].msg_hdr;
      header = {};
      header.msg_name = &from_[i];
      header.msg_namelen = sizeof from_[i];
      header.msg_iov = &parts_[i];
      header.msg_iovlen = 1;
      header.msg_control = control_[i].bytes.data();
      header.msg_controllen = control_[i].bytes.size();
    }
    const Time before{clock_of(CLOCK_BOOTTIME)};
    const int count = ::recvmmsg(from.fd, messages_.data(), kReceiveBatch, MSG_DONTWAIT, nullptr);
    // Nothing, or an error that belongs to some earlier send (ICMP): the next call sees the rest.
    if (count <= 0) {
      from.emptied = before;
      return false;
    }
    const Time now{clock_of(CLOCK_BOOTTIME)};
    for (std::size_t i = 0; i < static_cast<std::size_t>(count); ++i) {
      const std::size_t length = messages_[i].msg_len;
      const Notes notes = notes_of(messages_[i].msg_hdr);
      if (notes.has_overrun) from.overrun = notes.overrun;
      if (length == 0 || (messages_[i].msg_hdr.msg_flags & MSG_TRUNC) != 0) continue;
      const std::size_t each = notes.each_bytes == 0 ? length : notes.each_bytes;
      Slice bytes =
          length < kKeepWhole
              ? Slice::copy_of(Bytes(buffers_[i].bytes()).first(length))
              : std::move(std::exchange(buffers_[i], pool_.take(kReceiveBytes))).freeze(length);
      held += held_by(length);
      out.push_back({from_socket(from_[i]), std::move(bytes), each,
                     came_at(notes.stamp, ahead, now, from.emptied)});
    }
    if (static_cast<std::size_t>(count) == kReceiveBatch) return true;
    from.emptied = before;
    return false;
  }

  BufferPool& pool_;
  std::vector<Buffer> buffers_;
  std::array<mmsghdr, kReceiveBatch> messages_{};
  std::array<iovec, kReceiveBatch> parts_{};
  std::array<sockaddr_storage, kReceiveBatch> from_{};
  std::array<Control, kReceiveBatch> control_{};
};

UdpReader::UdpReader(std::span<const int> sockets, const Executor& executor, BufferPool& pool)
    : shared_(std::make_shared<Shared>(executor)), wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  if (wake_ < 0) throw std::system_error(errno, std::generic_category(), "eventfd");
  try {
    thread_ = std::thread([shared = shared_, fds = std::vector<int>(sockets.begin(), sockets.end()),
                           wake = wake_, &pool] { run(shared, fds, wake, pool); });
  } catch (...) {
    ::close(wake_);
    throw;
  }
}

UdpReader::~UdpReader() {
  stop();
  thread_.join();
  ::close(wake_);
  shared_->queue.clear();  // before the pool that lent them
}

void UdpReader::stop() {
  {
    const std::lock_guard lock(shared_->mutex);
    shared_->stopped = true;
  }
  const std::uint64_t one = 1;
  static_cast<void>(::write(wake_, &one, sizeof one));  // full: it is awake already
  shared_->some.notify();
}

// Of several sockets one may be read a moment before something comes to it that is older than what
// is then read from the next. So what came since the reading began waits for the next turn, which
// is at once; what is older is in order.
void UdpReader::split(std::vector<ReceivedDatagrams>& got, std::vector<ReceivedDatagrams>& later,
                      Time began) {
  std::stable_sort(
      got.begin(), got.end(),
      [](const ReceivedDatagrams& a, const ReceivedDatagrams& b) { return a.came < b.came; });
  auto first = got.begin();
  while (first != got.end() && first->came <= began) ++first;
  later.assign(std::move_iterator(first), std::move_iterator(got.end()));
  got.erase(first, got.end());
}

void UdpReader::run(const std::shared_ptr<Shared>& shared, const std::vector<int>& fds, int wake,
                    BufferPool& pool) {
  ask_for_short_slices();
  Fetch fetch(pool);
  std::vector<Socket> sockets;
  std::vector<pollfd> wanted;
  for (const int fd : fds) {
    sockets.push_back({fd});
    wanted.push_back({fd, POLLIN, 0});
  }
  wanted.push_back({wake, POLLIN, 0});
  const auto poll = [&wanted](int timeout) {
    return ::poll(wanted.data(), wanted.size(), timeout) >= 0 || errno == EINTR;
  };
  std::vector<ReceivedDatagrams> got, later;
  std::size_t first = 0;
  for (;;) {
    if (!got.empty()) std::this_thread::sleep_for(kPause);
    if (!poll(later.empty() ? -1 : 0)) return;
    const Duration ahead = boot_ahead();
    const Time began{clock_of(CLOCK_BOOTTIME)};
    // Which sockets hold something now, not when the wait ended.
    if (sockets.size() > 1 && !poll(0)) return;
    if (wanted.back().revents != 0) return;
    got = std::exchange(later, {});
    std::size_t held = 0;
    for (const ReceivedDatagrams& one : got) held += held_by(one.bytes.size());
    first = (first + 1) % sockets.size();  // none is the last in every turn
    for (std::size_t i = 0; i < sockets.size(); ++i) {
      const std::size_t at = (first + i) % sockets.size();
      if (wanted[at].revents != 0) fetch.empty(sockets[at], ahead, got, held);
    }
    if (sockets.size() > 1) split(got, later, began);
    hand_over(*shared, sockets, got);
    if (std::exchange(shared->tell, false))
      boost::asio::post(shared->executor, [shared] { shared->some.notify(); });
  }
}

void UdpReader::hand_over(Shared& shared, const std::vector<Socket>& sockets,
                          std::vector<ReceivedDatagrams>& got) {
  const std::lock_guard lock(shared.mutex);
  ++shared.counters.receive_calls;
  shared.kernel_overrun = 0;
  for (const Socket& socket : sockets) shared.kernel_overrun += socket.overrun;
  for (ReceivedDatagrams& one : got) {
    const std::size_t datagrams = (one.bytes.size() + one.each_bytes - 1) / one.each_bytes;
    const std::size_t held = held_by(one.bytes.size());
    if (shared.held_bytes + held > kHeldMax) {
      shared.counters.overrun += datagrams;
      continue;
    }
    shared.counters.received += datagrams;
    one.dropped_before = shared.kernel_overrun + shared.counters.overrun;
    shared.held_bytes += held;
    shared.queue.push_back(std::move(one));
  }
  if (!got.empty() && !shared.queue.empty()) shared.tell = !std::exchange(shared.told, true);
}

Task<Result<std::vector<ReceivedDatagrams>>> UdpReader::receive() {
  const std::shared_ptr<Shared> shared = shared_;
  for (;;) {
    std::vector<ReceivedDatagrams> got;
    bool stopped = false;
    {
      const std::lock_guard lock(shared->mutex);
      got.swap(shared->queue);
      shared->held_bytes = 0;
      shared->told = false;
      stopped = shared->stopped;
    }
    if (stopped) co_return fail(Kind::kLink, "receive datagrams", "the port is closed");
    if (!got.empty()) co_return got;
    co_await shared->some.wait();
  }
}

UdpReader::Counters UdpReader::counters() const {
  const std::lock_guard lock(shared_->mutex);
  Counters counters = shared_->counters;
  counters.overrun += shared_->kernel_overrun;
  return counters;
}

}  // namespace longhaul::io
