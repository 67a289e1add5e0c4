// RateControl: how fast the datagram path may send. Model-based: it measures what the peer
// received, when, and with how much delay, and keeps the bottleneck busy behind a queue of a few
// milliseconds. docs/rate.md explains it. Pure, integers only: same inputs, same outputs. Not
// thread-safe.
//
//   for (auto room = rate.burst(now); a packet waits and fits room; room -= its bytes)
//     kept.push(rate.on_sent(now, number, packet_bytes, limited));
//   wake_at(rate.next_send());      // nullopt: the window is full, an ack or a loss opens it
//   ..
//   rate.on_acked(now, packets, ack_delay);   // all that one ACK newly acknowledged, then
//   rate.on_lost(now, lost);                  // what loss recovery gave up because of it
//   wake_at(rate.next_deadline());  // then on_deadline(now)
//
// Bytes in flight are counted here: each packet of on_sent() must come back exactly once by
// on_acked(), on_lost() or on_forgotten(); one that on_lost() had may come again, by on_acked()
// with `was_lost`. Packets that must go at once (probe timeouts, acks alone, path challenges) may
// be sent past may_send(): report them all the same, unless they are not acknowledged.
#pragma once

#include <algorithm>
#include <array>
#include <optional>
#include <span>

#include "lib/datagram/delay_base.hpp"
#include "lib/datagram/pacer.hpp"
#include "lib/datagram/rate_state.hpp"
#include "lib/datagram/trial.hpp"

namespace longhaul::datagram {

class RateControl {
 public:
  RateControl(Time now, const RateOptions& options);

  // ---- Inputs ----
  // app_limited: after this packet nothing waits that the rate would have let go.
  SentPacket on_sent(Time now, std::uint64_t number, std::uint32_t bytes, bool app_limited);
  // In any order; ack_delay: how long the peer held its acknowledgement of the newest of them.
  void on_acked(Time now, std::span<const AckedPacket> packets, Duration ack_delay);
  void on_lost(Time now, std::span<const SentPacket> packets);
  // Lost, but behind the link, by a receiver that was too slow: the link carried them. Too many,
  // and the rate is held to what the receiver takes.
  void on_dropped_there(std::span<const SentPacket> packets);
  // Neither acknowledged nor lost: keys or epoch went, the content was withdrawn.
  void on_forgotten(std::span<const SentPacket> packets);
  // The address changed by more than its port, or the way did: what was measured is void but for
  // the rate, which is resumed with care.
  void on_path_change(Time now);
  // Something else of ours carried `rate` over the same link until now; what we knew is old. With a
  // slice, that something keeps the rest: what comes out then says nothing of the link. A slice of
  // zero: it has stopped; a rate of zero: not known.
  void take_over(Time now, BytesPerSecond rate, BytesPerSecond slice);
  void on_deadline(Time now);  // call at or after next_deadline()
  void set_mode(RateMode mode) { options_.mode = mode; }
  // Others are on the link, and we send less than it carries for their sake.
  bool beside_others() const { return others_ != RatePhase::kSteady; }
  void set_limit(BytesPerSecond limit) { options_.limit = limit; }  // zero: none

  // ---- Outputs ----
  bool may_send(Time now) const;
  // When the next packet may go, maybe in the past; nullopt: the window is full.
  std::optional<Time> next_send() const;
  // How much may leave in one batch now: at most max(2 packets, 1 ms of the rate).
  ByteCount burst(Time now) const;
  std::optional<Time> next_deadline() const;
  BytesPerSecond rate() const { return pacing_; }
  ByteCount window() const { return window_; }
  ByteCount in_flight() const { return in_flight_; }
  // A sign of life that acknowledges nothing in flight: after an outage sending may go on.
  void on_alive(Time now);
  RateState state() const;
  KnownLink learned() const;  // to be remembered for the next session
  void check() const;

 private:
  struct LossCount {  // losses in a row are one
    std::uint64_t events = 0, lost = 0, packets = 0;
  };
  enum class Losses : std::uint8_t { kOurs, kRandom, kUnclear };
  // What a test, or the time before it, showed.
  struct Evidence {
    BytesPerSecond delivered, sent;
    Duration queue{}, delay{};
    std::uint32_t loss_ppm = 0, all_loss_ppm = 0;
    LossCount loss;
  };
  struct Window {
    BytesPerSecond delivered, sent;
    std::uint32_t loss_ppm = 0;
    LossCount loss;
    Duration queue_least{};
    std::uint32_t all_loss_ppm = 0;  // of full queues too, which loss_ppm leaves out
    std::uint32_t dropped_ppm = 0;   // by the receiver, behind the link
  };
  // The most that was sent while the queue stood, what came of it, and since when no evidence of
  // others was missing; sent zero: no queue.
  struct Full {
    BytesPerSecond sent, delivered;
    Duration queue{};
    Time since{};
  };
  // Beside others, `fair`.
  struct Compete {
    std::array<BytesPerSecond, 8> rounds{};  // the most that came out in each of the last
    std::size_t round = 0;
    BytesPerSecond round_got;           // at the last round's end
    std::uint64_t excess_permille = 0;  // above the most of the rounds
    Time round_end{}, queue_seen{};
    BytesPerSecond most() const { return *std::max_element(rounds.begin(), rounds.end()); }
  };
  enum class Sequel : std::uint8_t { kNone, kProbe };

  // Opening trials (rate_plan.cpp)
  void begin_start(Time now, RatePhase phase, BytesPerSecond pace);
  void open_trial(Time now);
  void open_start(Time now);
  bool pulsing() const { return pulse_due_ || pulse_out_; }
  void open(Time now, RatePhase kind, BytesPerSecond pace, Duration length);
  void open_steady(Time now);
  void open_dip(Time now);
  void open_probe(Time now);
  void open_test(Time now);
  BytesPerSecond steady_pace(Time now) const;
  Duration predicted_queue(Time now) const;
  Duration trial_length(BytesPerSecond pace) const;
  Duration queue_target() const;
  Duration packet_time(BytesPerSecond rate) const;
  BytesPerSecond to_send(BytesPerSecond arriving) const;

  // Learning from trials (rate_learn.cpp)
  void take_trials(Time now);
  void on_trial(Time now, Trial& trial);
  void on_collapse(Time now);
  std::optional<BytesPerSecond> what_is_left() const;
  void on_start_trial(Time now, const Trial& trial);
  void on_start_pulse(Time now, const Trial& trial);
  void on_steady_trial(Time now, const Trial& trial);
  void on_probe_trial(Time now, const Trial& trial);
  void on_test_trial(Time now, const Trial& trial);
  std::optional<Duration> mean_delay(std::uint32_t last, std::uint32_t trials) const;
  void judge_test(Time now, const Evidence& during, Duration length);
  bool judge_queue(Time now, const Evidence& during, Duration expected_fall);
  void update_capacity(Time now, const Trial& trial);
  void watch_queue(Time now);
  Duration probe_pause() const;
  void note_noise(const Trial& trial);
  std::uint64_t rough_permille(Duration span) const;
  void note_held(Time now, Duration over);
  // Of a delay, what is neither the way's own nor known to stay though nothing waits.
  Duration queue_of(Time now, Duration delay) const;
  void watch_receiver(Time now);
  void leave_start(Time now);
  void go_steady(Time now, BytesPerSecond capacity);
  // Of the trials up to `last`, back to `span` before its end.
  Window look_back(std::uint32_t last, Duration span, std::uint32_t packets_min) const;

  // Losses (rate_losses.cpp)
  void watch_loss(Time now);
  Losses judge_losses(const Evidence& during);
  void find_shallow(Time now);
  void follow_losses(Time now, const Window& window);

  // Beside others (rate_others.cpp)
  bool see_others(Time now, const Window& window);
  void enter_others(Time now);
  void open_compete(Time now);
  void on_compete_trial(Time now, const Trial& trial);
  bool press(Time now, const Trial& trial);
  void on_yield_trial(Time now, const Trial& trial);
  void measure_share(BytesPerSecond sent_full, BytesPerSecond out_full, BytesPerSecond sent_less,
                     BytesPerSecond out_less);
  Duration compete_pause() const;

  void size_window();
  Duration rtt_or_guess() const;
  Duration interval() const;

  RateOptions options_;
  Pacer pacer_;
  TrialLog trials_;
  DelayBase base_;
  Full full_;
  Compete compete_;
  RatePhase phase_;  // what is being done; a trial's kind is what it was sent for
  RatePhase others_ = RatePhase::kSteady;  // kCompete, kYield: what a test falls back to
  BytesPerSecond pacing_, delivered_, capacity_;
  BytesPerSecond slice_;     // of a link that something else of ours uses; zero: all of it
  BytesPerSecond receiver_;  // what it takes; zero: more than ever came
  Time receiver_step_{};
  BytesPerSecond start_pace_;  // kStart, kResume: between pulses
  bool pulse_due_ = false, pulse_out_ = false, pulse_failed_ = false;
  std::uint32_t pulse_id_ = 0;                   // the last pulse's trial
  BytesPerSecond pulse_delivered_, pulse_base_;  // of it; the pace before it
  BytesPerSecond link_;               // what the link carried when nobody else was seen on it
  std::uint32_t suspected_ = 0;       // tests in a row, under jitter, that looked like others
  std::uint32_t others_seen_ = 0;     // probes in a row that took from somebody
  std::uint32_t alone_seen_ = 0;      // probes in a row that brought nothing more
  std::uint32_t failed_growths_ = 0;  // pulses that passed, and losses followed
  Time last_growth_{};
  Duration shallow_for_ = 10s;
  Time shallow_step_{};
  BytesPerSecond shallow_peak_;
  Time not_elastic_until_{};
  ByteCount window_, in_flight_;
  Duration rtt_min_{}, rtt_smooth_{}, queue_{}, queue_end_{}, queue_mean_{}, noise_{}, moved_{},
      wobble_{}, last_delay_{};
  Duration held_{};  // delay above the way's own that a test could not drain: jitter
  std::array<Duration, 2>
      over_most_{};  // delay above the way's own: the most, of two spans of time
  Time over_step_{};
  std::optional<Time> collapse_since_;
  Time trial_end_{}, last_heard_{};
  std::uint32_t next_trial_ = 0;      // the first that was not learned from
  std::uint32_t newest_acked_ = 0;    // trial
  std::uint32_t ignored_before_ = 0;  // trials from before an outage or a change of path
  std::uint32_t strikes_ = 0;
  std::uint32_t probe_gain_ = 0;  // permille above capacity
  Sequel sequel_ = Sequel::kNone;
  Time next_probe_{}, next_test_{}, high_since_{}, starved_since_{}, shallow_until_{};
  Duration high_most_{};
  bool high_ = false, starved_ = false, test_wanted_ = false, testing_ = false;
  std::uint32_t test_trials_ = 0, test_seen_ = 0;
  std::uint32_t test_first_ = 0;
  BytesPerSecond test_pace_;
  Evidence before_;
  LossCount loss_full_, loss_less_;  // of the last tests: before them, in them
  std::uint32_t random_ppm_ = 0, loss_ppm_ = 0, congestion_ppm_ = 0;
  std::uint64_t acked_bytes_ = 0, lost_bytes_ = 0;
};

}  // namespace longhaul::datagram
