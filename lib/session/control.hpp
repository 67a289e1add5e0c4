// The control lane: numbered messages, delivered in order and once. A sender keeps each until the
// peer says that it has it; a path that carries control has its own place in the sequence, so that
// two paths can carry the same messages while the link loses packets, and a new one begins with the
// oldest that is not acknowledged.
//
// Bounds: at most kControlAhead messages are unacknowledged; at the receiver as many may wait for a
// missing one. Not thread-safe.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "lib/base/result.hpp"
#include "lib/base/ring.hpp"
#include "lib/base/slice.hpp"
#include "lib/session/output.hpp"
#include "lib/session/service.hpp"
#include "lib/wire/frame.hpp"

namespace longhaul::session {

constexpr std::uint64_t kControlAhead = 256;

class ControlSender {
 public:
  struct Numbered {
    ServiceId service;
    Slice body;
  };
  void push(ServiceId service, Slice body);
  // Bytes that may still be pushed; zero when too much waits.
  std::size_t room() const;
  // The message with this number, or nullptr while there is none to send.
  const Numbered* at(std::uint64_t number) const;
  std::uint64_t acked() const { return acked_; }
  std::uint64_t end() const { return acked_ + kept_.size(); }  // next number to be given
  Result<> on_acked(std::uint64_t next);  // all below `next` arrived; error if never sent
  void clear();
  void check() const;

 private:
  Ring<Numbered> kept_;  // kept_[i] is number acked_ + i
  std::uint64_t acked_ = 0;
  std::size_t bytes_ = 0;
};

// What control may cost that is sent again while nothing says that it was lost: one part of a
// hundred of what was acknowledged, and a little at all times for a side that sends little else.
class RepeatBudget {
 public:
  explicit RepeatBudget(Time now) : since_(now) {}
  bool allows(Time now, std::uint64_t acked_bytes) const {
    const auto seconds = static_cast<std::uint64_t>((now - since_) / 1s);
    return spent_ < kFree + acked_bytes / kShare + seconds * kEachSecond;
  }
  void spend(std::size_t bytes) { spent_ += bytes; }

 private:
  static constexpr std::uint64_t kShare = 100, kFree = 256U << 10, kEachSecond = 4096;
  Time since_;
  std::uint64_t spent_ = 0;
};

class ControlReceiver {
 public:
  ControlReceiver(std::size_t services, BufferPool& pool) : services_(services), pool_(pool) {}
  Result<> on_control(const wire::Control& control);
  // The next message in order, if it is here.
  std::optional<ControlSender::Numbered> take();
  std::uint64_t next() const { return next_; }  // all below it have been taken
  std::uint64_t duplicates() const { return duplicates_; }

 private:
  const std::size_t services_;
  BufferPool& pool_;
  std::array<std::optional<ControlSender::Numbered>, kControlAhead> waiting_;
  std::uint64_t next_ = 0;
  std::uint64_t duplicates_ = 0;
};

}  // namespace longhaul::session
