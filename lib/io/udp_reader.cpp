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
#include <optional>
#include <system_error>
#include <utility>

#include <boost/asio/post.hpp>

namespace longhaul::io {

namespace {
// Below this a block of 64 KiB would be held for a few bytes.
constexpr std::size_t kKeepWhole = UdpReader::kReceiveBytes / 8;
constexpr std::size_t kHeldMax = 16U << 20;  // 270 ms of 500 Mbit/s
constexpr Duration kWaitMax = 2s;
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

Time came_at(std::optional<Duration> stamp, Duration wall, Time now, Time emptied) {
  if (!stamp.has_value()) return now;
  const Duration waited = std::clamp<Duration>(wall - *stamp, Duration{}, kWaitMax);
  return std::clamp(now - waited, std::min(emptied, now), now);
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

  // False: nothing was there.
  bool take(int socket, std::vector<ReceivedDatagrams>& out, Notes& notes_out) {
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
    const int count = ::recvmmsg(socket, messages_.data(), kReceiveBatch, MSG_DONTWAIT, nullptr);
    // Nothing, or an error that belongs to some earlier send (ICMP): the next call sees the rest.
    if (count <= 0) {
      emptied_ = before;
      return false;
    }
    const Duration wall = clock_of(CLOCK_REALTIME);
    const Time now{clock_of(CLOCK_BOOTTIME)};
    for (std::size_t i = 0; i < static_cast<std::size_t>(count); ++i) {
      const std::size_t length = messages_[i].msg_len;
      const Notes notes = notes_of(messages_[i].msg_hdr);
      if (notes.has_overrun) notes_out = notes;
      if (length == 0 || (messages_[i].msg_hdr.msg_flags & MSG_TRUNC) != 0) continue;
      const std::size_t each = notes.each_bytes == 0 ? length : notes.each_bytes;
      Slice bytes =
          length < kKeepWhole
              ? Slice::copy_of(Bytes(buffers_[i].bytes()).first(length))
              : std::move(std::exchange(buffers_[i], pool_.take(kReceiveBytes))).freeze(length);
      out.push_back({from_socket(from_[i]), std::move(bytes), each,
                     came_at(notes.stamp, wall, now, emptied_)});
    }
    if (static_cast<std::size_t>(count) < kReceiveBatch) emptied_ = before;
    return true;
  }

 private:
  BufferPool& pool_;
  std::vector<Buffer> buffers_;
  std::array<mmsghdr, kReceiveBatch> messages_{};
  std::array<iovec, kReceiveBatch> parts_{};
  std::array<sockaddr_storage, kReceiveBatch> from_{};
  std::array<Control, kReceiveBatch> control_{};
  Time emptied_{};  // then, or later, nothing was left in the socket
};

UdpReader::UdpReader(int socket, const Executor& executor, BufferPool& pool)
    : shared_(std::make_shared<Shared>(executor)), wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  if (wake_ < 0) throw std::system_error(errno, std::generic_category(), "eventfd");
  try {
    thread_ = std::thread(
        [shared = shared_, socket, wake = wake_, &pool] { run(shared, socket, wake, pool); });
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

void UdpReader::run(const std::shared_ptr<Shared>& shared, int socket, int wake, BufferPool& pool) {
  ask_for_short_slices();
  Fetch fetch(pool);
  std::vector<ReceivedDatagrams> got;
  std::array<pollfd, 2> wanted{pollfd{socket, POLLIN, 0}, pollfd{wake, POLLIN, 0}};
  for (;;) {
    if (::poll(wanted.data(), wanted.size(), -1) < 0 && errno != EINTR) return;
    if (wanted[1].revents != 0) return;
    got.clear();
    Notes notes;
    const bool any = fetch.take(socket, got, notes);
    bool tell = false;
    {
      const std::lock_guard lock(shared->mutex);
      ++shared->counters.receive_calls;
      if (notes.has_overrun) shared->kernel_overrun = notes.overrun;
      for (ReceivedDatagrams& one : got) {
        const std::size_t datagrams = (one.bytes.size() + one.each_bytes - 1) / one.each_bytes;
        const std::size_t held = one.bytes.size() < kKeepWhole ? one.bytes.size() : kReceiveBytes;
        if (shared->held_bytes + held > kHeldMax) {
          shared->counters.overrun += datagrams;
          continue;
        }
        shared->counters.received += datagrams;
        one.dropped_before = shared->kernel_overrun + shared->counters.overrun;
        shared->held_bytes += held;
        shared->queue.push_back(std::move(one));
      }
      tell = any && !shared->queue.empty() && !std::exchange(shared->told, true);
    }
    if (tell) boost::asio::post(shared->executor, [shared] { shared->some.notify(); });
  }
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
