// UdpReader: a thread that does nothing but empty a UDP socket into memory. An untuned kernel holds
// 208 KiB for a socket, which is 3 ms of 500 Mbit/s: a strand that seals, hashes and writes is not
// back in time, and what the kernel drops then looks like a link that is full. What it hands over
// is as it came: opening and replay checks stay on the strand. docs/threads.md.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <thread>
#include <vector>

#include "lib/io/datagram_port.hpp"
#include "lib/io/signal.hpp"

namespace longhaul::io {

// Of the calling thread; a wish.
void ask_for_short_slices();

// When a datagram came, by our clock. The kernel's stamps are of the wall clock, which ours, of
// CLOCK_BOOTTIME, is `ahead` of, unless the wall clock was set since the stamp. It cannot have come
// before the socket was last found empty, nor after now.
Time came_at(std::optional<Duration> stamp, Duration ahead, Time now, Time emptied);

class UdpReader {
 public:
  struct Counters {
    std::uint64_t received = 0, receive_calls = 0, overrun = 0;
  };

  // A datagram's largest size, and how many of them, or of what UDP_GRO made of them, one call
  // brings.
  static constexpr std::size_t kReceiveBytes = 65'536, kReceiveBatch = 16;

  // sockets: non-blocking, the owner's, one or more of one port. They and the pool outlive the
  // reader, the pool also what was received. Throws where no thread or eventfd is to be had.
  UdpReader(std::span<const int> sockets, const Executor& executor, BufferPool& pool);
  ~UdpReader();  // joins: the thread never blocks but in poll(), which stop() ends
  UdpReader(const UdpReader&) = delete;
  UdpReader& operator=(const UdpReader&) = delete;

  // On the strand: all that has come since the last call, waiting for at least one.
  Task<Result<std::vector<ReceivedDatagrams>>> receive();
  void stop();  // receive() then ends with kLink
  Counters counters() const;

 private:
  struct Shared {  // what crosses; a wakeup that is on its way keeps it
    explicit Shared(const Executor& where) : executor(where), some(where) {}
    Executor executor;
    mutable std::mutex mutex;
    std::vector<ReceivedDatagrams>
        queue;  // held_bytes at most kHeldMax; then what comes is dropped
    std::size_t held_bytes = 0;
    Counters counters;
    std::uint64_t kernel_overrun = 0;
    bool tell = false;  // the thread's own
    bool told = false;  // a wakeup is on its way, or the strand has not fetched yet
    Signal some;        // the strand's
    bool stopped = false;
  };
  class Fetch;
  struct Socket {
    int fd = -1;
    Time emptied{};  // then, or later, nothing was left in it
    std::uint32_t overrun = 0;
  };
  static void run(const std::shared_ptr<Shared>& shared, const std::vector<int>& fds, int wake,
                  BufferPool& pool);
  static void hand_over(Shared& shared, const std::vector<Socket>& sockets,
                        std::vector<ReceivedDatagrams>& got);

 public:
  // `got` in order, without what came after `began`, which goes to `later`. For tests.
  static void split(std::vector<ReceivedDatagrams>& got, std::vector<ReceivedDatagrams>& later,
                    Time began);

 private:
  std::shared_ptr<Shared> shared_;
  int wake_ = -1;
  std::thread thread_;
};

}  // namespace longhaul::io
