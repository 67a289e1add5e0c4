// RateWorld: senders that always have something to send, over one netsim link, in virtual time.
// Each has its own receiver, acknowledgements with receive times, and a loss recovery as plain as
// it can be; only how fast they send differs: RateControl, or a flow of
// TCP's to share the link with, under CUBIC or BBR.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "lib/datagram/rate_control.hpp"
#include "netsim/bbr.hpp"
#include "netsim/congestion.hpp"
#include "netsim/link.hpp"

namespace longhaul::datagram {

constexpr std::uint32_t kPacketBytes = 1500;

class Pace {  // how fast one sender may go
 public:
  virtual ~Pace() = default;
  virtual SentPacket on_sent(Time now, std::uint64_t number, std::uint32_t bytes) = 0;
  virtual void on_acked(Time now, const std::vector<AckedPacket>& packets, Duration ack_delay) = 0;
  virtual void on_lost(Time now, const std::vector<SentPacket>& packets) = 0;
  virtual std::optional<Time> next_send() const = 0;  // nullopt: not before an ack
  virtual std::uint64_t burst(Time now) const = 0;    // bytes
  virtual std::optional<Time> next_deadline() const { return std::nullopt; }
  virtual void on_deadline(Time) {}
  virtual void on_probe_timeout(Time) {}
  virtual Duration rtt() const = 0;
};

class OurPace : public Pace {
 public:
  OurPace(Time now, const RateOptions& options) : rate(now, options) {}
  SentPacket on_sent(Time now, std::uint64_t number, std::uint32_t bytes) override {
    return rate.on_sent(now, number, bytes, false);
  }
  void on_acked(Time now, const std::vector<AckedPacket>& packets, Duration ack_delay) override;
  void on_lost(Time now, const std::vector<SentPacket>& packets) override;
  std::optional<Time> next_send() const override { return rate.next_send(); }
  std::uint64_t burst(Time now) const override { return rate.burst(now).value(); }
  std::optional<Time> next_deadline() const override { return rate.next_deadline(); }
  void on_deadline(Time now) override { rate.on_deadline(now); }
  Duration rtt() const override { return rate.state().rtt_smooth; }
  RateControl rate;
};

class CubicPace : public Pace {  // RFC 9438 with SACK, as netsim's TCP has it
 public:
  CubicPace() : window_(netsim::Congestion::kCubic, kPacketBytes - 52, 0) {}
  SentPacket on_sent(Time now, std::uint64_t number, std::uint32_t bytes) override;
  void on_acked(Time now, const std::vector<AckedPacket>& packets, Duration ack_delay) override;
  void on_lost(Time now, const std::vector<SentPacket>& packets) override;
  std::optional<Time> next_send() const override;
  std::uint64_t burst(Time) const override { return room(); }
  void on_probe_timeout(Time) override { window_.on_timeout(); }
  Duration rtt() const override { return rtt_; }

 private:
  std::uint64_t room() const {
    return window_.bytes() > in_flight_ ? window_.bytes() - in_flight_ : 0;
  }
  netsim::CongestionWindow window_;
  std::uint64_t in_flight_ = 0, next_number_ = 0, recovery_until_ = 0;
  Duration rtt_{};
};

class BbrPace : public Pace {
 public:
  SentPacket on_sent(Time now, std::uint64_t number, std::uint32_t bytes) override;
  void on_acked(Time now, const std::vector<AckedPacket>& packets, Duration ack_delay) override;
  void on_lost(Time now, const std::vector<SentPacket>& packets) override;
  std::optional<Time> next_send() const override;
  std::uint64_t burst(Time now) const override;
  Duration rtt() const override { return rtt_; }

 private:
  netsim::Bbr model_{kPacketBytes};
  std::deque<netsim::Bbr::Mark> marks_;  // by packet number, from first_ on
  std::uint64_t first_ = 0, in_flight_ = 0;
  Time next_{};
  Duration rtt_{};
};

struct SenderOptions {
  Duration start{}, stop = std::chrono::hours(1);
  Duration clock_offset{};      // of the receiver
  std::int64_t clock_ppm = 0;   // the receiver's clock runs faster by this
  std::uint32_t ack_every = 8;  // packets
  Duration ack_delay_max = 5ms;
};

class RateWorld {
 public:
  RateWorld(const netsim::LinkConfig& link, std::uint64_t seed);
  RateControl& add_ours(const RateOptions& options, const SenderOptions& sender = {});
  void add_cubic(const SenderOptions& sender = {});
  void add_bbr(const SenderOptions& sender = {});

  void run_until(Duration end);
  void every(Duration step, std::function<void(Duration now)> look);  // one observer

  std::uint64_t delivered_bytes(std::size_t sender) const { return senders_[sender]->delivered; }
  std::uint64_t sent_bytes(std::size_t sender) const { return senders_[sender]->sent; }
  std::uint64_t lost_packets(std::size_t sender) const { return senders_[sender]->lost; }
  Duration queue() const;  // waiting time at the bottleneck now
  const netsim::Link& link() const { return link_; }
  void change(const netsim::LinkConfig& to) { link_.reconfigure(now_, to); }
  Duration now() const { return now_.time_since_epoch(); }

 private:
  struct Ack {
    Time sent;
    std::vector<std::pair<std::uint64_t, Duration>> received;
    Duration delay{};
  };
  enum class Fate : std::uint8_t { kFlying, kAcked, kLost };
  struct Kept {
    SentPacket packet;
    Fate fate;
  };
  struct Sender {
    std::unique_ptr<Pace> pace;
    SenderOptions options;
    std::deque<Kept> kept;
    std::uint64_t first = 0, next = 0, largest = 0, reorder = 3;
    std::uint64_t judged = 0;  // below: acknowledged or given up
    int late_eighths = 1;      // of a round trip beyond it, before what is missing is lost
    Time heard{};
    bool started = false, silent = false;
    std::vector<AckedPacket> acked;
    std::vector<SentPacket> gone;
    // the receiver's
    std::vector<std::pair<std::uint64_t, Duration>> unacked;
    std::vector<bool> seen;
    Time unacked_since{}, newest{};
    std::uint64_t delivered = 0, sent = 0, lost = 0;
  };
  void add(std::unique_ptr<Pace> pace, const SenderOptions& options);
  void transmit(std::size_t index);
  void send_packet(std::size_t index);
  void arrive(std::size_t index, std::uint64_t number, Time at);
  void flush_ack(std::size_t index);
  void take_ack(std::size_t index, const Ack& ack);
  void find_losses(Sender& sender);
  void timers(std::size_t index);
  Time next_event(std::size_t index) const;
  Duration probe_after(const Sender& sender) const;

  netsim::Link link_;
  Time now_{};
  std::vector<std::unique_ptr<Sender>> senders_;
  std::deque<Ack> acks_;
  std::uint64_t first_ack_ = 0;
  std::function<void(Duration)> look_;
  Duration look_step_{};
  Time next_look_ = Time::max();
};

}  // namespace longhaul::datagram
