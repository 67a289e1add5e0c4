// Receiver: one tree on its way in, push or pull alike. A pure state machine on the session's
// strand; all that touches the disk is work on its Sink.
//
//   kFetching --Offer--> kOpening --sink open--> kReceiving --sealed, every chunk here-->
//   kPublishing --> kDone
//
// Invariants: a chunk counts as here only after work that hashed it has written it; what the peer
// sends too early is held, bounded by kEarlyHeldMax and counted in held(); a chunk number is used
// only after its segment was judged. Segments are applied in order, one at a time; blocks in any
// order, several at once.
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <unordered_map>
#include <vector>

#include "lib/transfer/chunk_table.hpp"
#include "lib/transfer/limits.hpp"
#include "lib/transfer/post.hpp"
#include "lib/transfer/progress.hpp"
#include "lib/transfer/receive_jobs.hpp"

namespace longhaul::transfer {

class Receiver {
 public:
  enum class State : std::uint8_t { kFetching, kOpening, kReceiving, kPublishing, kDone, kFailed };

  // Holds what comes early until it has a sink.
  Receiver(wire::TransferId id, StageClock* stage_clock,  // which may be null
           bool peer_knows_demand);
  // Pull: asks the peer to become a sender, and to send no faster than `limit`.
  void fetch(Time now, std::shared_ptr<Sink> sink, const wire::TransferMessage& fetch,
             std::optional<BytesPerSecond> limit);

  // sink: for a first offer that nobody here asked for; otherwise not looked at.
  void on_offer(Time now, const wire::Offer& offer, std::shared_ptr<Sink> sink);
  // `message` is the whole Segment, decoded in a job; the numbers are its first fields.
  void on_segment(Time now, std::uint32_t attempt, std::uint32_t number, Slice message);
  void on_block(Time now, wire::Block block);
  void on_seal(Time now, const wire::Seal& seal);
  void on_beat(Time now) { heard_ = now; }
  void on_link(Time now, session::LinkState state);
  void on_job(Time now, Work& work);
  void on_deadline(Time now);
  // tell: the peer gets a Stop. What is staged stays.
  void stop(Time now, Error why, bool tell);

  std::optional<Output> poll(Time now, const session::Room& room);
  std::optional<Time> next_deadline() const;

  wire::TransferId id() const { return id_; }
  State state() const { return state_; }
  bool ended() const { return state_ == State::kDone || state_ == State::kFailed; }
  bool waiting_for_offer() const { return sink_ == nullptr && !ended(); }
  // Nothing of it is anywhere else; mute: what it still wants to say will never leave.
  bool idle(bool mute) const { return jobs_out_ == 0 && (mute || post_.empty()); }
  const Error& error() const { return error_; }
  const wire::Committed& committed() const { return committed_; }
  // What waits here counts twice once there is a sink for it: an end that cannot keep up needs no
  // more before it than half the session's window, and that with a million files fits its memory.
  std::size_t held() const {
    return (state_ == State::kReceiving ? 2 : 1) * (early_bytes_ + working_bytes_);
  }
  Progress progress(Time now) const;
  void check() const;

 private:
  void fail_with(Time now, Error error);
  void give(JobClass where, std::unique_ptr<Work> work);
  void begin_attempt(Time now, const wire::Offer& offer);
  void maybe_open();
  void take_opened(Time now, OpenWork& work);
  void take_segment(Time now, SegmentWork& work);
  void take_block(Time now, BlockWork& work);
  void take_copies(Time now, CopyWork& work);
  void take_synced(Time now, SyncWork& work);
  void take_published(Time now, PublishWork& work);
  void take_demand(Time now, DemandWork& work);

  void feed_segments();
  void feed_blocks(Time now);  // early ones whose names have come
  bool start_block(Time now, wire::Block& block, std::size_t bytes);  // false: not yet
  void feed_copies();
  void feed_twins(std::uint64_t first);  // its bytes are here: copy them to the others
  void add_chunk(const SegmentWork::NewChunk& fresh, wire::Bitmap<wire::kSegmentPiecesMax>& missing,
                 std::size_t bit);
  void mark_here(Time now, std::uint64_t number);
  std::uint32_t& missing_of(store::FileNo file);
  void count_files(const SegmentWork& work);
  Duration silence_max() const;
  void want_again(std::uint64_t number);
  void answer(std::uint64_t first, wire::Bitmap<wire::kSegmentPiecesMax> missing, bool again);
  void maybe_sync(Time now);
  void maybe_publish(Time now);
  void maybe_tell_manifest();
  void take_manifest(Time now, ManifestWork& work);
  void send_receipt(Time now);
  bool manifest_is_here() const;  // all its segments are read
  void look_at_demand(Time now);
  bool is_over(std::uint32_t attempt) const;
  void drop_attempt();
  bool too_early(Time now, std::size_t bytes);

  const wire::TransferId id_;
  StageClock* const stage_clock_;
  const bool peer_knows_demand_;
  std::shared_ptr<Sink> sink_;
  State state_ = State::kOpening;
  Error error_;
  wire::Committed committed_;
  Post post_;
  bool link_up_ = true;
  std::size_t jobs_out_ = 0;
  std::size_t data_jobs_ = 0;  // of those: segments, blocks, copies of this attempt or another

  std::uint32_t attempt_ = 0;
  bool opened_ = false;
  bool open_wanted_ = false;
  bool base_refused_ = false;         // the manifest of this attempt cannot be read
  std::optional<wire::Offer> offer_;  // of the attempt; waiting to be opened if !opened_
  std::optional<Time> retry_open_;    // the dataset was busy
  std::optional<Time> give_up_open_;
  std::optional<store::Tree> base_;
  std::shared_ptr<ManifestReader> reader_;
  bool reader_lent_ = false;
  bool manifest_told_ = false;
  std::optional<store::Tree> tree_;  // of the whole manifest, once it was told
  std::optional<store::FileNo> open_file_;
  std::uint32_t next_segment_ = 0;
  std::optional<wire::Seal> seal_;

  ChunkTable chunks_;
  std::unordered_map<std::uint64_t, std::vector<std::uint64_t>>
      twins_;                              // first -> others; looked up
  std::vector<std::uint32_t> missing_of_;  // of those by file number
  std::deque<CopyWork::Item> copies_;
  std::size_t copy_jobs_ = 0;

  std::map<std::pair<std::uint32_t, std::uint32_t>, Slice> early_segments_;  // attempt, number
  std::deque<std::pair<wire::Block, std::size_t>> early_blocks_;
  std::vector<wire::Seal> early_seals_;
  std::size_t early_bytes_ = 0;
  std::size_t working_bytes_ = 0;

  std::uint64_t unsynced_bytes_ = 0;
  std::optional<Time> unsynced_since_;
  bool syncing_ = false;
  std::uint64_t synced_bytes_ = 0;
  std::optional<Time> receipt_due_;
  std::optional<Time> demand_due_;       // the next look; none: nobody can read of it
  bool looking_ = false;                 // one is under way
  bool manifest_asked_ = false;          // of this attempt's sender
  std::optional<store::Demand> demand_;  // told to it
  Time all_here_{};                      // publishing began
  Time heard_{};                         // the peer, of this transfer

  std::optional<BytesPerSecond> limit_;  // asked of the peer
  Progress progress_;
  RateMeter logical_rate_, wire_rate_;
  StageMeter stages_;
};

}  // namespace longhaul::transfer
