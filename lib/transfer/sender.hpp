// Sender: one tree on its way out, push or pull alike. A pure state machine on the session's
// strand: it asks for work (hash, encode, root) and offers messages when asked, so that what leaves
// next is decided as late as can be. Hasher fills the rows, ManifestWriter names them, ChunkQueue
// says which chunk is next; this ties them.
//
//   kRooting --root known, or files to hash--> kOffered --Admit--> kSending --Seal sent--> kSealed
//   --> kDone
//
// A source that changes under the reader starts a new attempt: the changed files are hashed as they
// are now and the manifest begins anew, nothing ahead of its answer, so that what is published is
// what was read.
#pragma once

#include <deque>
#include <optional>
#include <span>
#include <vector>

#include "lib/transfer/base_file.hpp"
#include "lib/transfer/chunk_queue.hpp"
#include "lib/transfer/demand_places.hpp"
#include "lib/transfer/hasher.hpp"
#include "lib/transfer/limits.hpp"
#include "lib/transfer/link_guess.hpp"
#include "lib/transfer/manifest.hpp"
#include "lib/transfer/post.hpp"
#include "lib/transfer/progress.hpp"
#include "lib/transfer/send_jobs.hpp"
#include "lib/transfer/site_memory.hpp"

namespace longhaul::transfer {

struct SendOptions {
  std::string dataset;
  std::optional<BytesPerSecond> limit;  // --limit-rate
  std::uint32_t encode_jobs = 4;        // at once
  std::uint32_t cores = 4;              // that are free for them
  BytesPerSecond link;  // what is known of the link, until this transfer has measured
  Clocks clocks;
  // It reads wire::BasePart (session::kCapabilityBaseParts); nullopt: it has not said so far.
  std::optional<bool> peer_knows_base_parts = true;
};

class Sender {
 public:
  enum class State : std::uint8_t { kRooting, kOffered, kSending, kSealed, kDone, kFailed };

  Sender(wire::TransferId id, SendOptions options, std::shared_ptr<Source> source,
         SiteMemory memory);
  void start(Time now);

  void on_accept(Time now, const wire::Admit& accept);
  void on_want(Time now, const wire::Want& want);
  void on_demand(Time now, const wire::Demand& demand);
  void on_receipt(Time now, const wire::Receipt& receipt);
  void on_committed(Time now, const wire::Committed& committed);
  void on_link(Time now, session::LinkState state);
  // What the receiver asked for; nullopt: no limit.
  void pace(std::optional<BytesPerSecond> limit) { options_.limit = limit; }
  void learn_peer(bool knows_base_parts) { options_.peer_knows_base_parts = knows_base_parts; }
  void on_job(Time now, Work& work);
  void on_deadline(Time now);
  // The end from outside: cancel, the peer's Stop, the session's end. tell: the peer gets a Stop.
  void stop(Time now, Error why, bool tell);

  std::optional<Output> poll(Time now, const session::Room& room);
  std::optional<Time> next_deadline() const;

  wire::TransferId id() const { return id_; }
  State state() const { return state_; }
  bool ended() const { return state_ == State::kDone || state_ == State::kFailed; }
  // Nothing of it is anywhere else; mute: what it still wants to say will never leave.
  bool idle(bool mute) const { return jobs_out_ == 0 && (mute || post_.empty()); }
  const Error& error() const { return error_; }                    // kFailed
  const wire::Committed& committed() const { return committed_; }  // kDone
  const Source& source() const { return *source_; }
  const std::optional<store::Tree>& tree() const { return tree_; }  // once all is hashed
  Progress progress(Time now) const;
  void check() const;

 private:
  void fail_with(Time now, Error error);
  void begin_attempt(Time now);
  void send_offer();
  void count_totals();
  void changed(Time now, const std::vector<std::uint32_t>& rows);
  void feed_manifest();  // rows that are ready, into the segment being written
  bool find_base_file();
  void emit_piece();
  void count_same(std::size_t row, std::size_t rows);
  void flush_segment();
  void finish_manifest();  // root, then Seal
  bool may_hash() const;
  void feed_jobs();
  void feed_encoding(Time now);
  void encode(Time now, const std::vector<std::uint64_t>& picked, Turn turn);
  void pass_others(const wire::Demand& demand);
  bool may_go_ahead() const;
  std::size_t block_bytes() const;
  void drop_ready();
  void take_hashed(Time now, HashWork& work);
  void take_encoded(Time now, EncodeWork& work);
  std::optional<Output> next_block(Time now, const session::Room& room);
  void beat(Time now);
  void note_stage(Time now, const session::Room& room);
  void give(JobClass where, std::unique_ptr<Work> work);

  const wire::TransferId id_;
  SendOptions options_;
  const std::shared_ptr<Source> source_;
  const SiteMemory memory_;
  State state_ = State::kRooting;
  Error error_;
  wire::Committed committed_;
  Post post_;

  std::uint32_t attempt_ = 0;
  bool ahead_ = true;     // this attempt sends before the answer
  bool base_ok_ = false;  // a base is named and was not refused
  bool accepted_ = false;
  std::optional<store::Tree> tree_;
  bool root_asked_ = false;
  // Found while the root was being computed, or before the offer was answered.
  std::vector<std::uint32_t> changed_;
  bool offer_open_ = false;             // the last one is not answered yet
  std::uint64_t unanswered_bytes_ = 0;  // sent before the receiver's first word

  Hasher hasher_;
  ManifestWriter writer_;
  BaseMatch match_;
  std::size_t emit_row_ = 0;  // row whose record or pieces come next
  std::size_t emit_piece_ = 0;
  std::uint64_t emit_offset_ = 0;
  bool row_begun_ = false;
  BaseFile base_file_;  // of that row

  ChunkQueue queue_;
  CodecChooser chooser_;
  LinkGuess link_guess_;
  std::uint64_t announced_ = 0;    // chunks whose names are on their way
  bool is_read_ = false;           // by somebody at the receiver, who needs the manifest whole
  DemandPlaces awaited_, needed_;  // of the last Demand: urgent, the rest
  struct Ready {
    Slice block;
    std::uint64_t raw_bytes = 0;
    std::vector<wire::ChunkRun> runs;
    std::uint64_t place = DemandPlaces::kNone;  // of its soonest chunk
  };
  void place(Ready ready, Turn turn);
  // Encoded: of what somebody waits for, on the demand lane; needs soon, as bulk before the rest;
  // both by their places.
  std::deque<Ready> urgent_, soon_, ready_;
  std::size_t jobs_out_ = 0;
  std::size_t encode_jobs_ = 0;
  std::uint64_t in_flight_bytes_ = 0;  // picked, not yet taken by the session
  Time rate_free_{};                   // --limit-rate: no block before
  bool rate_waits_ = false;            // for that and nothing else, so that it is a deadline

  Progress progress_;
  RateMeter logical_rate_, wire_rate_;
  StageMeter stages_;
  bool link_up_ = true;
  Time heard_{};
  Time said_{};  // anything, last
};

}  // namespace longhaul::transfer
