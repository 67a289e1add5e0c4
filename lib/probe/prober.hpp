// Prober: who wants to know what the link is like. A service of the dialling side's session, whose
// twin is ProbeSite: it asks small questions all the time, then fills the link each way for a
// moment, and leaves the samples for estimate(). Ends by itself within the time and bytes it was
// given. Not thread-safe; session's strand.
//
//   Prober prober(options);                     // a service of the session
//   prober.start(now, udp_address_of_the_site);
//   while (!prober.finished()) ..
//   Figures figures = estimate(prober.samples());
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <vector>

#include "lib/probe/estimate.hpp"
#include "lib/probe/packet.hpp"
#include "lib/probe/quiet_port.hpp"
#include "lib/probe/site.hpp"
#include "lib/probe/train.hpp"
#include "lib/session/service.hpp"

namespace longhaul::probe {

constexpr wire::ProbeId kTheProbe{1};  // one a session
constexpr Duration kOpenPatience = std::chrono::seconds(5);
constexpr Duration kFindPatience = std::chrono::seconds(3);
constexpr Duration kReportPatience = std::chrono::seconds(5);
constexpr Duration kEchoPause = std::chrono::milliseconds(10);
constexpr std::uint32_t kIpMost = 1500;  // bytes of a packet, at most

struct ProberOptions {
  std::uint64_t budget_bytes = 20'000'000;  // both ways together, IP bytes
  Duration time = std::chrono::seconds(10);
  BufferPool* buffers = nullptr;  // required; outlives this
  crypto::Digest seed;            // random
  std::int64_t wall_less_now_ns = 0;
  std::vector<Duration> silences;  // after which a NAT is asked whether it still knows a port
};

class Prober final : public session::Service, public Packets {
 public:
  enum class Stage : std::uint8_t {
    kWaiting,  // for start()
    kOpening,
    kFinding,  // whether a packet is answered
    kIdle,
    kFillUp,
    kFillDown,
    kLoss,
    kSustainUp,
    kSustainDown,
    kQuiet,  // only the quiet ports' questions and answers
    kDone,
  };
  explicit Prober(const ProberOptions& options);

  void start(Time now, const datagram::Address& site);
  Stage stage() const { return stage_; }
  bool finished() const { return stage_ == Stage::kDone; }
  const std::optional<Error>& error() const { return error_; }  // why there are no samples
  Samples samples() const;
  std::uint32_t mtu_bytes() const { return mtu_bytes_; }  // IP; 0: not known
  std::uint64_t bytes_up() const { return bytes_up_; }
  std::uint64_t bytes_down() const { return bytes_down_; }
  bool cut_short() const { return cut_short_; }
  Duration took() const { return ended_at_ - began_; }  // but for the silence
  // Each needs a socket of its own.
  const std::vector<std::unique_ptr<QuietPort>>& quiet_ports() const { return quiet_; }
  std::optional<NatFigures> nat() const;  // nothing: no silence was tried

  std::optional<datagram::ConnectionId> receive_id() const override;
  void on_datagrams(Time now, const datagram::Address& from, const Slice& in,
                    std::size_t each_bytes, Duration ago) override;
  std::optional<Batch> poll_batch(Time now) override;
  std::optional<Time> next_send(Time now) const override;

  void on_message(Time now, session::Lane lane, Slice message) override;
  void on_job(Time, Job) override {}
  void on_deadline(Time now) override;
  void on_link(Time, session::LinkState) override {}
  void on_end(Time now, const Error& why) override;
  std::optional<session::ServiceOutput> poll_output(Time now, const session::Room& room) override;
  std::optional<Time> next_deadline() const override;
  std::size_t held() const override { return 0; }
  void check() const override;

 private:
  struct Sent {  // an echo
    std::int64_t sent_us = 0;
    std::uint32_t ip_bytes = 0;
    bool idle = false, loaded = false, answered = false;
  };
  struct WayState {
    std::optional<TrainSender> sending;   // up
    std::optional<TrainRecord> record;    // down
    std::optional<TrainSamples> waiting;  // up: sent, not yet reported
    std::optional<Time> give_up_at;       // up: no report by then
    TrainUse use = TrainUse::kFill;
    std::vector<UsedTrain> trains;
    std::uint64_t filled_bytes = 0, last_bytes = 0;
    bool busy() const { return waiting.has_value() || record.has_value(); }
  };
  void enter(Time now, Stage stage);
  void next_stage(Time now);
  void step(Time now);
  void step_fill(Time now, WayState& way, bool down);
  void sustain(Time now, WayState& way, bool down);
  void begin_loss(Time now);
  void order(Time now, bool down, TrainUse use, TrainPlan plan);
  bool fits_budget(std::uint64_t bytes) const;
  Duration idle_span() const;
  std::optional<double> capacity_of(const WayState& way, bool* full) const;
  double idle_jitter_us(bool down) const;
  void on_answer(const Packet& packet, std::size_t bytes, Time came);
  void on_report(Time now, const wire::ProbeArrivals& report);
  Batch echo(Time now);
  void be_quiet(Time now);
  void tend_quiet(Time now);
  void finish(Time now);
  void send(session::Lane lane, const wire::ProbeMessage& message);
  std::int64_t us(Time at) const { return (at - began_) / std::chrono::microseconds(1); }
  bool pinging() const { return stage_ >= Stage::kFinding && stage_ < Stage::kQuiet; }
  Time site_free_at() const { return stage_at_ + QuietPort::kGreeting + QuietPort::kPatience; }
  Time end_at() const { return began_ + options_.time; }

  const ProberOptions options_;
  Stage stage_ = Stage::kWaiting;
  Sealing sealing_;
  std::vector<std::unique_ptr<QuietPort>> quiet_;
  bool stopped_ = false;  // the site was told that it is over
  datagram::Address site_{};
  std::optional<wire::ProbeToken> token_;
  std::uint64_t budget_ = 0, bytes_up_ = 0, bytes_down_ = 0;
  Time began_{}, stage_at_{}, next_echo_{}, ended_at_{};
  std::int64_t wall_difference_us_ = 0;
  std::vector<Sent> echoes_;
  std::vector<EchoSample> answers_;
  std::vector<std::uint32_t> sizes_;  // of padded echoes still to be sent, UDP payload
  bool padded_next_ = false;
  std::uint32_t mtu_bytes_ = 0;
  Duration rtt_{};  // the least
  wire::TrainId train_{};
  WayState up_, down_;
  std::deque<session::Message> queued_;
  std::optional<Error> error_;
  bool cut_short_ = false;
  bool begun_ = false;  // this stage's trains were ordered
};
std::string_view name_of(Prober::Stage stage);

}  // namespace longhaul::probe
