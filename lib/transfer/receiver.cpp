#include "lib/transfer/receiver.hpp"

#include <algorithm>

#include "lib/base/escape.hpp"

namespace longhaul::transfer {

using session::Lane;
using wire::TransferMessage;

namespace {

constexpr Duration kBusyRetryEvery = 250ms;
// A session that died a moment ago may still be letting go of the dataset.
constexpr Duration kBusyMax = 5s;

Slice packed(const TransferMessage& message) {
  return Slice::copy_of(wire::encode(message));
}

Error broken(std::string why) {
  return Error(Kind::kMalformed, "receive", std::move(why));
}

}  // namespace

Receiver::Receiver(wire::TransferId id, StageClock* stage_clock, bool peer_knows_demand)
    : id_(id), stage_clock_(stage_clock), peer_knows_demand_(peer_knows_demand) {}

void Receiver::fetch(Time now, std::shared_ptr<Sink> sink, const wire::TransferMessage& fetch,
                     std::optional<BytesPerSecond> limit) {
  heard_ = now;
  sink_ = std::move(sink);
  state_ = State::kFetching;
  post_.message(Lane::kControl, packed(fetch));
  if (!limit || limit->value() == 0) return;
  limit_ = limit;
  wire::Pace pace;
  pace.transfer = id_;
  pace.bytes_per_second = limit->value();
  post_.message(Lane::kControl, packed(pace));
}

void Receiver::give(JobClass where, std::unique_ptr<Work> work) {
  ++jobs_out_;
  post_.task(where, std::move(work));
}

void Receiver::fail_with(Time now, Error error) {
  stop(now, std::move(error), true);
}

void Receiver::stop(Time now, Error why, bool tell) {
  if (ended()) return;
  stages_.enter(now, Stage::kPeer);
  // With every byte here nothing that happens to the peer or the session can take the version away.
  if (state_ == State::kPublishing) return;
  state_ = State::kFailed;
  error_ = std::move(why);
  const std::size_t unborn = post_.tasks();
  post_.clear();
  jobs_out_ -= unborn;
  early_segments_.clear();
  early_blocks_.clear();
  early_bytes_ = 0;
  copies_.clear();
  if (opened_ && unsynced_bytes_ > 0 && !syncing_) {
    syncing_ = true;
    give(JobClass::kSync, std::make_unique<SyncWork>(sink_, unsynced_bytes_));
  }
  if (!tell) return;
  wire::Stop stop;
  stop.transfer = id_;
  stop.kind = error_.kind();
  stop.text = printable(error_.message(), wire::kReasonMax);
  post_.message(Lane::kControl, packed(stop));
}

// --- the offer ---

void Receiver::on_offer(Time now, const wire::Offer& offer, std::shared_ptr<Sink> sink) {
  heard_ = now;
  if (ended()) return;
  if (!sink_) sink_ = std::move(sink);
  ASSERT(sink_ != nullptr);
  if (state_ == State::kPublishing || offer.attempt != attempt_ + 1 ||
      offer.attempt > kAttemptsMax + 1U)
    return fail_with(now, broken("an offer out of turn"));
  if (state_ == State::kOpening && attempt_ != 0 && !base_refused_)
    return fail_with(now, broken("a second offer before the first was answered"));
  begin_attempt(now, offer);
}

void Receiver::begin_attempt(Time now, const wire::Offer& offer) {
  attempt_ = offer.attempt;
  // From here on the sender hears that we live, however long opening takes.
  if (!receipt_due_) receipt_due_ = now + kReceiptEvery;
  offer_ = offer;
  base_refused_ = false;
  next_segment_ = 0;
  seal_.reset();
  chunks_.clear();
  twins_.clear();
  copies_.clear();
  open_file_.reset();
  reader_.reset();
  reader_lent_ = false;
  manifest_told_ = false;
  demand_.reset();
  manifest_asked_ = false;
  tree_.reset();
  progress_.files_total = offer.files;
  progress_.bytes_total = offer.bytes;
  progress_.bytes_done = progress_.bytes_present = progress_.files_done = 0;
  missing_of_.clear();
  state_ = State::kOpening;
  open_wanted_ = true;
  maybe_open();
}

// Writes of the attempt before must have ended: a file may get another size now.
void Receiver::maybe_open() {
  if (!open_wanted_ || data_jobs_ > 0 || ended()) return;
  open_wanted_ = false;
  give(JobClass::kDisk, std::make_unique<OpenWork>(sink_, *offer_, !opened_));
}

void Receiver::take_opened(Time now, OpenWork& work) {
  if (ended() || work.offer.attempt != attempt_) return;
  if (work.error) {
    if (work.error->kind() == Kind::kBusy && !give_up_open_) give_up_open_ = now + kBusyMax;
    if (work.error->kind() == Kind::kBusy && now < *give_up_open_) {
      retry_open_ = now + kBusyRetryEvery;
      return;
    }
    return fail_with(now, std::move(*work.error));
  }
  if (work.first) {
    opened_ = true;
    base_ = std::move(work.opened.base);
    if (const auto& existing = work.opened.existing) {
      committed_ = {id_, existing->version, existing->root, true, 0};
      state_ = State::kDone;
      progress_.bytes_done = progress_.bytes_present = progress_.bytes_total;
      early_blocks_.clear();
      early_segments_.clear();
      early_bytes_ = 0;
      post_.message(Lane::kControl, packed(committed_));
      return;
    }
  }
  const bool base_known = offer_->base && base_ && base_->root() == *offer_->base;
  base_refused_ = offer_->base.has_value() && !base_known;
  wire::Admit accept;
  accept.transfer = id_;
  accept.attempt = attempt_;
  accept.base_known = base_known;
  post_.message(Lane::kControl, packed(accept));
  if (base_refused_) return drop_attempt();  // this manifest cannot be read; the next needs no base
  reader_ = std::make_shared<ManifestReader>(base_known ? base_ : std::nullopt);
  state_ = State::kReceiving;
  look_at_demand(now);
  for (const wire::Seal& seal : early_seals_)
    if (seal.attempt == attempt_) seal_ = seal;
  feed_segments();
  feed_blocks(now);
  maybe_publish(now);
}

// What came for this attempt, and the ones before it, means nothing any more.
void Receiver::drop_attempt() {
  while (!early_segments_.empty() && early_segments_.begin()->first.first <= attempt_) {
    early_bytes_ -= early_segments_.begin()->second.size();
    early_segments_.erase(early_segments_.begin());
  }
  std::erase_if(early_blocks_, [this](const auto& held) {
    if (held.first.attempt > attempt_) return false;
    early_bytes_ -= held.second;
    return true;
  });
}

// --- the manifest ---

bool Receiver::too_early(Time now, std::size_t bytes) {
  if (early_bytes_ + bytes <= kEarlyHeldMax) return false;
  fail_with(now, Error(Kind::kLimit, "receive", "the peer sends far ahead of what explains it"));
  return true;
}

bool Receiver::is_over(std::uint32_t attempt) const {
  return ended() || state_ == State::kPublishing || attempt < attempt_ ||
         (base_refused_ && attempt == attempt_);
}

void Receiver::on_segment(Time now, std::uint32_t attempt, std::uint32_t number, Slice message) {
  heard_ = now;
  if (is_over(attempt)) return;
  if (attempt > kAttemptsMax + 1U) return fail_with(now, broken("a segment of no attempt"));
  if (message.size() > 2 * wire::kSegmentBytesMax)
    return fail_with(now, broken("a segment is too large"));
  const bool known = attempt == attempt_ && number < next_segment_;
  if (known || early_segments_.contains({attempt, number}))
    return fail_with(now, broken("a manifest segment came twice"));
  if (too_early(now, message.size())) return;
  early_bytes_ += message.size();
  early_segments_.emplace(std::pair(attempt, number), std::move(message));
  feed_segments();
}

void Receiver::feed_segments() {
  if (state_ != State::kReceiving || reader_lent_) return;
  // What an attempt that is over left behind.
  while (!early_segments_.empty() && early_segments_.begin()->first.first < attempt_) {
    early_bytes_ -= early_segments_.begin()->second.size();
    early_segments_.erase(early_segments_.begin());
  }
  const auto next = early_segments_.find({attempt_, next_segment_});
  if (next == early_segments_.end()) return;
  Slice message = std::move(next->second);
  early_segments_.erase(next);
  early_bytes_ -= message.size();
  working_bytes_ += message.size();
  reader_lent_ = true;
  ++next_segment_;
  ++data_jobs_;
  give(JobClass::kCompute,
       std::make_unique<SegmentWork>(sink_, reader_, std::move(message), open_file_));
}

void Receiver::take_segment(Time now, SegmentWork& work) {
  --data_jobs_;
  working_bytes_ -= work.message.size();
  maybe_open();
  if (ended() || work.reader != reader_) return;
  reader_lent_ = false;
  if (work.error) return fail_with(now, std::move(*work.error));
  const std::uint64_t first = chunks_.size();
  wire::Bitmap<wire::kSegmentPiecesMax> missing(work.chunks.size());
  std::uint64_t present = work.base_bytes + work.hole_bytes;
  for (std::size_t i = 0; i < work.chunks.size(); ++i) {
    add_chunk(work.chunks[i], missing, i);
    if (work.chunks[i].presence == Presence::kHeld) present += work.chunks[i].place.length;
  }
  count_files(work);
  progress_.bytes_present += present;
  progress_.bytes_done += present;
  logical_rate_.add(now, present);
  answer(first, std::move(missing), false);
  feed_segments();
  feed_copies();
  feed_blocks(now);
  maybe_publish(now);
}

std::uint32_t& Receiver::missing_of(store::FileNo file) {
  if (missing_of_.size() <= file.value()) missing_of_.resize(file.value() + std::size_t{1});
  return missing_of_[file.value()];
}

// A file is done once it is named to its end and none of its chunks is missing.
void Receiver::count_files(const SegmentWork& work) {
  const auto before = std::exchange(open_file_, work.open_file);
  const auto count = [this](store::FileNo file) {
    if (file != open_file_ && missing_of(file) == 0) ++progress_.files_done;
  };
  if (before) count(*before);
  for (const store::FileNo file : work.files)
    if (file != before) count(file);
  progress_.files_done += work.base_files;
}

void Receiver::add_chunk(const SegmentWork::NewChunk& fresh,
                         wire::Bitmap<wire::kSegmentPiecesMax>& missing, std::size_t bit) {
  const store::StagedChunk& place = fresh.place;
  if (fresh.presence == Presence::kHeld) return chunks_.add(place, ChunkTable::State::kHere);
  const std::uint64_t number = chunks_.size();
  ++missing_of(place.file);
  auto state = ChunkTable::State::kMissing;
  if (const auto first = chunks_.first_of(place.chunk)) {
    // The same bytes stand elsewhere in this tree: from there when they are here, with them when
    // they come.
    const ChunkTable::Chunk& other = chunks_.at(*first);
    if (other.state == ChunkTable::State::kHere) {
      state = ChunkTable::State::kCopying;
      copies_.push_back({number, place, StagedPlace{other.file, other.offset}, false});
    } else {
      state = ChunkTable::State::kTwin;
      twins_[*first].push_back(number);
    }
  } else if (fresh.presence == Presence::kLocal) {
    state = ChunkTable::State::kCopying;
    copies_.push_back({number, place, std::nullopt, false});
  } else {
    missing.set(bit);
  }
  chunks_.add(place, state);
}

void Receiver::answer(std::uint64_t first, wire::Bitmap<wire::kSegmentPiecesMax> missing,
                      bool again) {
  wire::Want want;
  want.transfer = id_;
  want.attempt = attempt_;
  want.again = again;
  want.first_chunk = first;
  want.missing = std::move(missing);
  post_.message(Lane::kDemand, packed(want));
}

void Receiver::want_again(std::uint64_t number) {
  chunks_.set(number, ChunkTable::State::kMissing);
  wire::Bitmap<wire::kSegmentPiecesMax> one(1, true);
  answer(number, std::move(one), true);
}

void Receiver::on_seal(Time now, const wire::Seal& seal) {
  heard_ = now;
  if (is_over(seal.attempt)) return;
  if (seal.attempt > attempt_ || state_ == State::kOpening) {
    if (early_seals_.size() > kAttemptsMax) return fail_with(now, broken("too many seals"));
    early_seals_.push_back(seal);
    return;
  }
  if (seal_) return fail_with(now, broken("a second seal"));
  seal_ = seal;
  maybe_publish(now);
}

void Receiver::on_job(Time now, Work& work) {
  ASSERT(jobs_out_ > 0);
  --jobs_out_;
  if (auto* opened = dynamic_cast<OpenWork*>(&work)) return take_opened(now, *opened);
  if (auto* segment = dynamic_cast<SegmentWork*>(&work)) return take_segment(now, *segment);
  if (auto* block = dynamic_cast<BlockWork*>(&work)) return take_block(now, *block);
  if (auto* copies = dynamic_cast<CopyWork*>(&work)) return take_copies(now, *copies);
  if (auto* manifest = dynamic_cast<ManifestWork*>(&work)) return take_manifest(now, *manifest);
  if (auto* synced = dynamic_cast<SyncWork*>(&work)) return take_synced(now, *synced);
  if (auto* demand = dynamic_cast<DemandWork*>(&work)) return take_demand(now, *demand);
  auto* published = dynamic_cast<PublishWork*>(&work);
  ASSERT(published != nullptr);
  take_published(now, *published);
}

// --- out ---

std::optional<Output> Receiver::poll(Time now, const session::Room& room) {
  auto output = post_.next(room);
  if (output) return output;
  Stage stage = data_jobs_ > 4 || syncing_ ? Stage::kDisk : Stage::kLink;
  // Nothing tells the link from a peer that keeps to our limit but that it is reached.
  if (stage == Stage::kLink && limit_ && wire_rate_.rate(now).value() >= limit_->value() / 4 * 3)
    stage = Stage::kRateCap;
  stages_.enter(now, stage);
  return std::nullopt;
}

Progress Receiver::progress(Time now) const {
  Progress out = progress_;
  out.link_up = link_up_;
  out.totals_final = out.totals_final || seal_.has_value();
  complete(out, now, logical_rate_, wire_rate_, stages_);
  return out;
}

void Receiver::check() const {
  chunks_.check();
  std::size_t early = 0;
  for (const auto& [key, message] : early_segments_) early += message.size();
  for (const auto& [block, bytes] : early_blocks_) early += bytes;
  ASSERT(early == early_bytes_);
  ASSERT(early_bytes_ <= kEarlyHeldMax);
  ASSERT(state_ != State::kPublishing || chunks_.pending() == 0);
}

}  // namespace longhaul::transfer
