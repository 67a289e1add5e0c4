// Exchange: all transfers and requests of one session, of either side. It is what a program talks
// to: start a push or a pull, ask for a list, cancel, take events; and what the session talks to:
// messages, jobs, room. Its twin at the peer is another Exchange. Lives on the session's strand.
//
//   Exchange exchange(Side::kDialer, nullptr, {});
//   TransferId id = exchange.start_push(now, {.dataset = "corpus"}, source, memory);
//   .. the pump runs ..
//   while (auto event = exchange.poll_event())
//     if (auto* end = std::get_if<Finished>(&*event)) ..
//
// Invariant: every transfer and request that was started ends in exactly one event, whatever the
// peer does.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <variant>

#include "lib/session/service.hpp"
#include "lib/transfer/host.hpp"
#include "lib/transfer/receiver.hpp"
#include "lib/transfer/sender.hpp"

namespace longhaul::transfer {

using wire::RequestId;
using wire::TransferId;

enum class Side : std::uint8_t { kDialer, kListener };  // whose transfer numbers are odd

// A transfer is over. Those the peer began are told too, for logs.
struct Finished {
  TransferId transfer;
  bool mine = true;     // started here
  bool sending = true;  // data went out from here
  std::string dataset;
  std::optional<Error> error;  // kInterrupted: cancelled here or there; all of it can be resumed
  wire::Committed committed;   // without error
  Progress progress;
  std::optional<store::Tree> tree;  // sent and committed: the base for the next time
};
struct Page {  // of the answer to a request; in order
  RequestId request;
  std::vector<wire::Line> lines;
};
struct Answered {  // the last event of a request
  RequestId request;
  std::optional<Error> error;
  wire::Outcome outcome;
};
struct PeerBroken {  // it sent what is no message: the owner ends the session
  Error why;
};
using Event = std::variant<Finished, Page, Answered, PeerBroken>;

// The attempt of an error that the peer told; its why is the peer's own "what: why", printable.
constexpr std::string_view kAskThePeer = "ask the peer";

struct ExchangeOptions {
  std::uint32_t encode_jobs = 4;  // at once
  std::uint32_t cores = 4;        // that are free for them
  BytesPerSecond link;            // remembered
  Clocks clocks;
  bool peer_knows_demand = true;  // session::kCapabilityDemand
  // session::kCapabilityBaseParts; nullopt: the peer has not said so far, learn_peer() will tell.
  std::optional<bool> peer_knows_base_parts = true;
};

class Exchange final : public session::Service {
 public:
  // host: null if the peer may ask for nothing; outlives the exchange and its jobs.
  Exchange(Side side, Host* host, ExchangeOptions options);

  struct PushOptions {
    std::string dataset;
    std::optional<BytesPerSecond> limit;
  };
  // source->rows in walk order; those not hashed are hashed on the way. Nothing fails here: errors
  // are events.
  TransferId start_push(Time now, PushOptions options, std::shared_ptr<Source> source,
                        SiteMemory memory);
  struct PullOptions {
    std::string dataset;
    std::uint64_t version = 0;           // 0: the newest
    std::optional<crypto::Digest> base;  // root of a tree the sink holds
    bool unfinished = false;             // something of it may be staged
    // Not a dataset but a checkpoint of the run `dataset`.
    struct Checkpoint {
      std::uint64_t step = 0;
      bool full = false;  // else its weights, rounded to bf16
    };
    std::optional<Checkpoint> checkpoint;
    // The peer keeps it; it needs session::kCapabilityPace for that.
    std::optional<BytesPerSecond> limit;
  };
  TransferId start_pull(Time now, PullOptions options, std::shared_ptr<Sink> sink);
  RequestId ask(Time now, wire::AskType type, std::string dataset, std::uint64_t version);
  void cancel(Time now, TransferId transfer);

  void learn_peer(std::uint64_t capabilities);  // of both ends
  std::optional<Event> poll_event();
  std::optional<Progress> progress(Time now, TransferId transfer) const;  // nullopt: over
  std::vector<TransferId> transfers() const;

  void on_message(Time now, session::Lane lane, Slice message) override;
  void on_job(Time now, Job done) override;
  void on_deadline(Time now) override;
  void on_link(Time now, session::LinkState state) override;
  void on_end(Time now, const Error& why) override;
  std::optional<session::ServiceOutput> poll_output(Time now, const session::Room& room) override;
  std::optional<Time> next_deadline() const override;
  std::size_t held() const override;
  void check() const override;
  bool jobs_out() const { return !jobs_.empty(); }

 private:
  struct Entry {
    std::unique_ptr<Sender>
        sender;  // exactly one of the two, or neither while a fetch is looked up
    std::unique_ptr<Receiver> receiver;
    std::string dataset;
    bool mine = false;
    bool told = false;
    bool fetching = false;               // the version a peer asked for is being looked up
    bool unfinished = false;             // the asker may hold some of it
    bool stopped = false;                // meanwhile
    std::optional<BytesPerSecond> pace;  // the asker's limit
  };
  struct Question {  // of ours
    std::uint32_t next = 0;
    std::map<std::uint32_t, wire::Answer> early;
  };
  using JobOwner = std::variant<TransferId, RequestId>;

  SendOptions send_options(std::string dataset, std::optional<BytesPerSecond> limit) const;
  bool is_peers(TransferId id) const;
  Entry* find(TransferId id);
  Receiver* receiver_of(TransferId id);
  Receiver* early_receiver(TransferId id);
  Receiver* early_receiver_for_offer(TransferId id);
  Sender* sender_of(TransferId id);
  void refuse(Time now, TransferId id, const Error& why);
  void refuse(Time now, session::Lane lane, Slice refusal);
  void broken(Time now, Error why);

  void take(Time now, const wire::Offer& offer);
  void take(Time now, const wire::Fetch& fetch) { take_fetch(now, fetch, fetch.dataset); }
  void take(Time now, const wire::FetchCheckpoint& fetch) { take_fetch(now, fetch, fetch.run); }
  template <class Fetch>
  void take_fetch(Time now, const Fetch& fetch, std::string_view what);
  void take(Time now, const wire::Admit& accept);
  void take(Time now, const wire::Segment&);
  void take(Time now, const wire::Want& want);
  void take(Time now, const wire::Demand& demand);
  void take(Time now, wire::Block& block);
  void take(Time now, const wire::Seal& seal);
  void take(Time now, const wire::Receipt& receipt);
  void take(Time now, const wire::Beat& beat);
  void take(Time now, const wire::Pace& pace);
  void take(Time now, const wire::Committed& committed);
  void take(Time now, const wire::Stop& stop);
  void take(Time now, const wire::Ask& ask);
  void take(Time now, wire::Answer& answer);
  void take_segment(Time now, Slice message);
  void fetched(Time now, TransferId id, FetchWork& work);
  void answered(RequestId id, Job job);
  static std::size_t memory_of(const wire::Answer& answer);

  void settle(Time now);  // events of what has ended; forgets what is idle
  session::ServiceOutput number(Output output, JobOwner owner);

  const Side side_;
  Host* const host_;
  ExchangeOptions options_;
  bool over_ = false;
  bool link_up_ = true;
  std::uint64_t next_transfer_;
  std::uint64_t last_peers_ = 0;  // highest transfer the peer has named on the control lane
  std::uint64_t next_request_ = 1;
  JobId next_job_{1};
  std::map<TransferId, Entry> entries_;
  std::map<RequestId, Question> questions_;
  std::map<RequestId, std::uint32_t> answering_;  // the peer's, with the next page's number
  std::map<JobId, JobOwner> jobs_;
  std::deque<Event> events_;
  Post post_;      // what belongs to no sender or receiver
  Post refusals_;  // and what says no, which a peer can have without end
  std::deque<std::pair<Task, JobOwner>> tasks_;
  std::deque<std::pair<Task, JobOwner>> next_pages_;  // not made while post_ is full
  std::size_t early_answer_bytes_ = 0;                // memory of all questions' early pages
  TransferId turn_;                                   // whose turn on the bulk lane it was
};

}  // namespace longhaul::transfer
