// Core: the machine behind Session (session.hpp). Its parts by file: core.cpp (inputs, services,
// end), core_paths.cpp (dial, greet, lose, tend), core_frames.cpp (what a frame does),
// core_output.cpp (what is sent, where), core_rounds.cpp (rate, K, tuning),
// core_datagrams.cpp (the fast path). For lib/session only.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "lib/base/ring.hpp"
#include "lib/base/rng.hpp"
#include "lib/session/datagram_path.hpp"
#include "lib/session/greeter.hpp"
#include "lib/session/handshake.hpp"
#include "lib/session/k_search.hpp"
#include "lib/session/messages.hpp"
#include "lib/session/path_choice.hpp"
#include "lib/session/path_set.hpp"
#include "lib/session/rate.hpp"
#include "lib/session/segment_guess.hpp"
#include "lib/session/session.hpp"
#include "lib/session/status.hpp"

namespace longhaul::session {

constexpr Duration kLossRemembered = 10s;  // how long a link that lost packets counts as lossy

class Core {
 public:
  Core(Time now, const SessionKeys& keys, const SessionOptions& options,
       std::span<Service* const> services);
  void start_dialling();
  Result<PathId> adopt(Time now, Arrival& arrival);

  void on_dialed(Time now, PathId id, Result<> result);
  void on_stream(Time now, PathId id, const Slice& in);
  void on_stream_closed(Time now, PathId id, const Error& why);
  void on_datagram_peer(Time now, const datagram::Address& peer);
  void on_datagrams(Time now, const datagram::Address& from, const Slice& in,
                    std::size_t each_bytes, Duration ago, std::uint64_t socket_drops);
  void on_datagrams_blocked(Time now, bool blocked);
  void on_datagram_too_big(Time now, std::size_t bytes);
  void on_writable(Time now, PathId id, std::size_t bytes);
  void on_path_info(Time now, PathId id, const PathInfo& info);
  void on_addresses_changed(Time now);
  void on_job(Time now, ServiceId service, Job done);
  void on_deadline(Time now);
  void on_service(Time now);
  void set_rate_limit(Time now, BytesPerSecond limit);
  void end(Time now, const Error& why, RefuseReason refused, bool say_goodbye);

  std::optional<Output> poll_output();
  std::optional<Time> next_deadline() const;
  void check() const;
  Status status() const;
  LinkMemory learned() const;
  bool ended() const { return ended_; }
  const Association* association() const {
    return association_.has_value() ? &*association_ : nullptr;
  }

 private:
  using Outcome = Result<>;
  void advance(Time now) { now_ = std::max(now_, now); }
  void emit(Event event) { outputs_.push(std::move(event)); }

  // core.cpp
  void settle();  // after every input: deliver, ask services, tend paths
  void deliver();
  void ask_services();
  std::size_t held() const;
  void update_link();
  Duration patience() const;  // without a link
  void flush(Path& path);

  // core_paths.cpp
  Path& dial(PathRole role);
  void dial_together();
  void greet_ready();
  void greet(Path& path);
  void open(Path& path);
  void lose(PathId id, const Error& why);
  void drop_silent();
  void retire_surplus();
  void plan_dials();
  void plan_extra(PathRole role, std::uint32_t wanted);
  Duration dial_life() const;
  std::uint32_t bulk_wanted() const;
  bool down() const { return !up_; }

  // core_frames.cpp
  Outcome on_frames(PathId id);
  Outcome on_frame(Path& path, const FramePath::Frame& frame);
  Outcome on_accept(Path& path, const wire::Accept& accept);
  Outcome on_refuse(Path& path, const wire::Refuse& refuse);
  Outcome on_data(Path& path, const Slice& body);
  Outcome on_ack(Path& path, const wire::Ack& ack);
  void on_goodbye(const wire::Goodbye& goodbye);
  void owe_ack(Path& path, std::size_t bytes);

  // core_output.cpp
  std::optional<Output> next_write();
  void compose(Path& path);
  void compose_urgent(Path& path);
  void compose_control(Path& path);
  void send_ack(Path& path);
  LaneSet lanes_of(const Path& path) const;
  static std::uint32_t fragment_most(const Path& path);
  BytesPerSecond cap() const;
  void refill_budget();
  bool over_budget() const { return cap().value() > 0 && budget_ <= 0; }
  Time budget_at() const;

  // core_datagrams.cpp
  void begin_datagrams(const Path& primary, std::uint32_t number);
  void end_datagrams();
  void tend_datagrams();
  void renew_datagrams();
  void say_mode(Path& path);
  void on_mode(const wire::Mode& mode);
  Outcome on_epoch_frame(Path& path, const wire::Epoch& epoch);
  bool datagrams_alive() const;
  std::optional<Output> next_datagrams();
  void say_goodbye_in_datagrams(const wire::Goodbye& goodbye);

  // core_rounds.cpp
  void end_round();
  void on_round();
  void learn(bool limited_by_link);
  std::uint64_t delivered_in_round() const;
  void share_limit();
  void on_epoch(bool limited);
  void measure(Path& path, const PathInfo& info);
  void tune();
  void tune(Path& path, BytesPerSecond share, std::uint32_t bulk_paths);
  Duration rtt() const;
  bool rests() const;
  Duration round_length() const;

  const SessionOptions options_;
  const SessionKeys keys_;
  const bool dials_;
  std::vector<Service*> services_;
  BufferPool& pool_;
  Messages messages_;
  PathSet paths_;
  std::optional<Association> association_;
  Ring<Output> outputs_;
  Time now_;

  bool established_ = false, up_ = false, ended_ = false;
  bool services_due_ = true;
  std::size_t first_service_ = 0;
  std::uint64_t advertised_ = 0;  // credit last sent
  std::uint32_t version_ = 0;
  std::uint64_t capabilities_ = 0;

  // Dialling.
  std::uint32_t next_address_ = 0;
  Time next_probe_, next_extra_, next_control_, down_since_;
  Duration extra_pause_ = 1s, control_pause_ = 250ms;  // of dials that failed; they double
  bool dialled_extra_ = false;
  std::uint32_t control_wanted_ = kControlPaths;

  // The fast path.
  std::unique_ptr<DatagramPath> datagrams_;
  std::optional<datagram::Address> datagram_peer_;
  PathChoice choice_;
  ChoiceReason reported_choice_ = ChoiceReason::kNone;
  BytesPerSecond slice_;  // of the datagrams, as their rate control knows it
  bool datagrams_blocked_ = false;
  std::uint64_t capabilities_seen_ = 0;  // what the dialler's first Hello said
  std::uint64_t datagram_lost_ = 0, round_datagram_bytes_ = 0;
  Time next_epoch_{};
  std::uint32_t next_epoch_number_ = 0;  // the least that has not been begun

  // Rate.
  BytesPerSecond limit_;
  datagram::RateMode mode_ = datagram::RateMode::kFair;
  bool said_mode_ = false;
  std::int64_t budget_ = 0;  // bytes that may go now, under a cap
  Time budget_since_;
  RateModel rate_;
  datagram::KnownLink learned_;  // for the next session; see learn()
  KSearch k_;
  SegmentGuess segments_;
  Time round_since_, epoch_since_, lossy_until_;
  std::uint64_t round_acked_ = 0, acked_bytes_ = 0, requeued_bytes_ = 0;
  std::uint64_t round_sent_ = 0, round_resent_ = 0;  // by the kernels, in this round
  std::uint64_t round_delivered_ = 0;
  std::uint64_t epoch_delivered_ = 0, epoch_resent_ = 0;
  std::size_t samples_out_ = 0;  // asked for at the round's end, not yet here
  bool knows_delivered_ = false;
  bool starved_ = false, epoch_starved_ = false;  // a path could send and there was nothing
  bool knows_loss_ = false;
  RepeatBudget repeats_;
  BytesPerSecond reported_cap_;
};

}  // namespace longhaul::session
