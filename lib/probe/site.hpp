// ProbeSite: the site's end of a probe, as a service of a session. It answers echoes, records
// trains that come and sends those that are ordered; never to an address that has not shown that it
// hears us, never more than the budget, and one probe at a time for the whole site. Session's
// strand.
//
//   ProbeSite probe(options);                       // a service of the session
//   probe.on_datagrams(now, from, bytes, each, ago); // of receive_id()
//   while (auto batch = probe.poll_batch(now)) send(*batch);
//   wake_at(probe.next_send(now));
#pragma once

#include <deque>
#include <optional>
#include <vector>

#include "lib/probe/packet.hpp"
#include "lib/probe/train.hpp"
#include "lib/session/service.hpp"

namespace longhaul::probe {

// What both ends' packets look like to the owner of the socket.
class Packets {
 public:
  Packets() = default;
  virtual ~Packets() = default;
  Packets(const Packets&) = delete;
  Packets& operator=(const Packets&) = delete;
  // Of which connection id packets are for us now; nullopt: of none.
  virtual std::optional<datagram::ConnectionId> receive_id() const = 0;
  virtual void on_datagrams(Time now, const datagram::Address& from, const Slice& in,
                            std::size_t each_bytes, Duration ago) = 0;
  virtual std::optional<Batch> poll_batch(Time now) = 0;
  virtual std::optional<Time> next_send(Time now) const = 0;
};

// Shared by the sessions of a site: one probe at a time; who may only look gets little, and seldom.
class Gate {
 public:
  static constexpr std::uint64_t kOwnerBytesMax = std::uint64_t{1} << 30;
  static constexpr std::uint64_t kObserverBytesMax = 32U << 20;
  static constexpr Duration kObserverPause = std::chrono::seconds(30);
  // The bytes that are allowed of `wanted`.
  Result<std::uint64_t> begin(Time now, bool observer, std::uint64_t wanted);
  void end() { taken_ = false; }
  bool taken() const { return taken_; }

 private:
  bool taken_ = false;
  std::optional<Time> observer_at_;
};

struct ProbeSiteOptions {
  bool may_probe = true;
  bool observer = false;
  bool datagrams = true;  // the owner has a UDP socket for us
  Gate* gate = nullptr;   // required; outlives this
  BufferPool* buffers = nullptr;
  crypto::Digest secret;              // random: makes tokens
  std::int64_t wall_less_now_ns = 0;  // the wall clock less Time, now
};

class ProbeSite final : public session::Service, public Packets {
 public:
  static constexpr Duration kLifeMax = std::chrono::seconds(90);
  // Answers that are wanted later: at most so many, and so much. They go on when the probe has been
  // stopped, while another may begin.
  static constexpr std::size_t kLaterMax = 64;
  static constexpr Duration kSilenceMax = std::chrono::minutes(10);
  explicit ProbeSite(const ProbeSiteOptions& options) : options_(options) {}
  ~ProbeSite() override;

  // The peer broke the protocol: the owner ends the session.
  std::optional<Error> take_broken() { return std::exchange(broken_, std::nullopt); }
  std::uint64_t spent_bytes() const { return open_ ? open_->spent : 0; }

  std::optional<datagram::ConnectionId> receive_id() const override;
  void on_datagrams(Time now, const datagram::Address& from, const Slice& in,
                    std::size_t each_bytes, Duration ago) override;
  std::optional<Batch> poll_batch(Time now) override;
  std::optional<Time> next_send(Time now) const override;

  void on_message(Time now, session::Lane lane, Slice message) override;
  void on_job(Time, Job) override {}
  void on_deadline(Time now) override;
  void on_link(Time, session::LinkState) override {}
  void on_end(Time, const Error&) override { close(); }
  std::optional<session::ServiceOutput> poll_output(Time now, const session::Room& room) override;
  std::optional<Time> next_deadline() const override;
  std::size_t held() const override { return 0; }
  void check() const override;

 private:
  struct Early {  // a packet that overtook the word of its train
    Packet packet;
    std::int64_t came_us = 0;
  };
  struct Later {
    datagram::Address to;
    Packet answer;
    std::uint32_t bytes = 0;
    Time due{};
  };
  struct Open {
    Open(const crypto::Digest& seed, BufferPool& pool) : sealing(seed, false, pool) {}
    wire::ProbeId probe;
    Sealing sealing;
    Time began{};
    std::uint64_t budget = 0, spent = 0;
    std::optional<datagram::Address> peer;
    std::optional<TrainSender> sending;
    std::optional<TrainRecord> record;
    wire::TrainId newest{};
    std::vector<Early> early;
    std::deque<Batch> answers;
    std::uint64_t filled = 0, to_fill = 0, fill_total = 0;  // bytes that came; are to go, of
    std::vector<Later> later;
    bool stopped = false;  // all but `later` is over
  };
  void on(Time now, const wire::ProbeOpen& open);
  void on(Time now, const wire::ProbeTrain& order);
  void on(const wire::ProbeFill& fill);
  void on(const wire::ProbeFetch& fetch);
  void on_packet(Time now, const datagram::Address& from, const Packet& packet,
                 std::size_t datagram_bytes, Time came);
  void report(Time now);
  void refuse(wire::ProbeId probe, Kind kind, const char* why);
  void send(session::Lane lane, const wire::ProbeMessage& message);
  bool pay(std::uint64_t bytes);
  wire::ProbeToken token_for(const datagram::Address& peer) const;
  std::optional<Batch> answer_later(Time now);
  void quieten();
  void close();

  const ProbeSiteOptions options_;
  std::optional<Open> open_;
  std::optional<Error> broken_;
  std::deque<session::Message> queued_;
};

}  // namespace longhaul::probe
