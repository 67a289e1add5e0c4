// Poller: epoll with nanosecond deadlines, and tokens that say whose event it is. One thread.
#pragma once

#include <sys/epoll.h>

#include <cstdint>
#include <optional>
#include <span>

#include "lib/base/units.hpp"
#include "netsim/relay/socket.hpp"

namespace netsim::relay {

enum class Face : std::uint8_t {
  kListener,
  kClient,
  kServer,
  kDatagramIn,
  kDatagramOut,
  kControl,
  kSignal
};

class Poller {
 public:
  static longhaul::Result<Poller> open();
  // Edge-triggered for reading and writing unless `level`, which is for reading alone.
  void add(const Fd& fd, Face face, std::uint64_t key, bool level = false);
  struct Event {
    Face face;
    std::uint64_t key;
    std::uint32_t events;
  };
  // Waits until something happens or `longest` has passed; nullopt: for ever.
  std::span<const Event> wait(std::optional<longhaul::Duration> longest);

 private:
  explicit Poller(Fd epoll) : epoll_(std::move(epoll)) {}
  static constexpr int kEvents = 128;
  Fd epoll_;
  epoll_event raw_[kEvents]{};
  Event events_[kEvents]{};
};

}  // namespace netsim::relay
