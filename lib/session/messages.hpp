// Messages: both directions of a session's traffic, whatever carries it. It turns services'
// messages into frames for any path that asks, and frames of any path into messages. What was sent
// on a path that died comes back through on_lost() and goes again.
//
// It knows nothing of connections, TLS or time-outs: stream_path.hpp and whatever carries datagrams
// ask it for fragments and tell it what became of them. Not thread-safe.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "lib/base/ring.hpp"
#include "lib/session/control.hpp"
#include "lib/session/inbox.hpp"
#include "lib/session/lane.hpp"
#include "lib/session/outbox.hpp"
#include "lib/session/scheduler.hpp"

namespace longhaul::session {

// What a sender may open before it has heard of the receiver's window; every window is at least
// this.
constexpr std::uint64_t kInitialCredit = 8U << 20;
// Bulk that has been taken waits for no longer than this by the link's measured rate, so that the
// service decides late which comes next; but so much is always taken, so that no path runs dry.
constexpr Duration kBulkWaitMax = 100ms;
constexpr std::uint64_t kBulkQueueLeast = 256U << 10;
// Of the peer's window, what bulk leaves to the urgent lanes.
constexpr std::uint64_t kUrgentReserve = cost_of(kMessageMax);
// Bodies kept until the peer has acknowledged them, whatever window it offers.
constexpr std::uint64_t kUnackedMax = 128U << 20;

class Messages {
 public:
  Messages(std::size_t window_bytes, std::size_t services, BufferPool& pool);

  // Sending. post() is for messages that room() has a place for.
  Room room() const;
  void post(ServiceId service, Message message);
  ControlSender& control() { return control_out_; }
  const ControlSender& control() const { return control_out_; }
  void set_link(Duration rtt, BytesPerSecond rate);
  // The next range to send, at most `bytes_max` (at least one unit), of the lanes this path
  // carries.
  std::optional<Fragment> next_fragment(Time now, LaneSet lanes, std::uint32_t bytes_max);
  bool has_work(LaneSet lanes) const;  // something could be sent, but for the pace of live
  wire::Data frame_of(const Fragment& fragment) const;
  void on_acked(const Fragment& fragment) { outbox_.on_acked(fragment); }
  void on_lost(const Fragment& fragment);
  void on_credit(std::uint64_t credit) { credit_ = std::max(credit_, credit); }
  std::optional<Time> live_at(Time now) const;
  bool waits_for_credit() const;

  // Receiving.
  Result<> on_data(const wire::Data& data);
  Result<> on_control(const wire::Control& control);
  std::optional<Arrived> take();  // messages for services, in the order to deliver
  std::uint64_t credit(std::size_t held_bytes) { return inbox_.limit(held_bytes); }
  std::uint64_t control_next() const { return control_in_.next(); }
  std::uint64_t control_repeats() const { return control_in_.duplicates(); }

  const Outbox& outbox() const { return outbox_; }
  const Inbox& inbox() const { return inbox_; }
  std::uint64_t queued_bytes() const;
  const LaneBytes& sent() const { return sent_; }          // of messages, by lane; repeats too
  const LaneBytes& received() const { return received_; }  // of whole messages
  void clear();  // the session is over: let go of everything
  void check() const;

 private:
  struct LaneState {
    explicit LaneState(Lane lane) : queue(lane) {}
    LaneQueue queue;
    std::vector<MessageId> started;  // part is sent; the last is served first
    Ring<Fragment> lost;             // to be sent again, before anything new
    std::size_t unsent_bytes = 0;    // of started
  };
  const LaneState& lane(Lane which) const { return lanes_[static_cast<std::size_t>(which)]; }
  LaneState& lane(Lane which) { return lanes_[static_cast<std::size_t>(which)]; }
  std::size_t queue_most(Lane which) const;
  bool may_open(const LaneState& state, Lane which) const;
  bool should_open(const LaneState& state, Lane which) const;
  Scheduler::Offer offer_of(Lane which) const;
  Fragment take_lost(LaneState& state, std::uint32_t bytes_max);
  Fragment take_new(LaneState& state, Lane which, std::uint32_t bytes_max);
  void arrive(Arrived arrived);

  std::array<LaneState, kLaneCount> lanes_;
  ControlSender control_out_;
  Outbox outbox_;
  Scheduler scheduler_;
  BytesPerSecond rate_;
  std::uint64_t credit_ = kInitialCredit;
  LaneBytes sent_{}, received_{};

  Inbox inbox_;
  ControlReceiver control_in_;
  Ring<Arrived> arrived_;
};

}  // namespace longhaul::session
