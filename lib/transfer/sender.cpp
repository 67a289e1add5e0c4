#include "lib/transfer/sender.hpp"

#include <algorithm>

#include "lib/base/escape.hpp"

namespace longhaul::transfer {

using session::Lane;
using wire::TransferMessage;

namespace {
Slice packed(const TransferMessage& message) {
  return Slice::copy_of(wire::encode(message));
}
}  // namespace

Sender::Sender(wire::TransferId id, SendOptions options, std::shared_ptr<Source> source,
               SiteMemory memory)
    : id_(id),
      options_(std::move(options)),
      source_(std::move(source)),
      memory_(std::move(memory)),
      hasher_(source_, options_.clocks.stages),
      writer_(id, 0),
      queue_(source_->rows),
      chooser_(options_.cores),
      link_guess_(options_.link) {
  ahead_ = !memory_.unfinished;
  base_ok_ = memory_.base.has_value();
  count_totals();
}

void Sender::count_totals() {
  const Rows& rows = source_->rows;
  progress_.files_total = progress_.bytes_total = 0;
  for (std::size_t row = 0; row < rows.size(); ++row) {
    if (!rows.is_file(row)) continue;
    ++progress_.files_total;
    progress_.bytes_total += rows.bytes(row);
  }
}

void Sender::start(Time now) {
  heard_ = said_ = now;
  const Rows& rows = source_->rows;
  bool all_hashed = true;
  for (std::size_t row = 0; row < rows.size() && all_hashed; ++row) all_hashed = !rows.is_open(row);
  if (all_hashed) {  // the root may be the whole answer
    root_asked_ = true;
    give(JobClass::kCompute, std::make_unique<RootWork>(source_, attempt_));
  } else {
    begin_attempt(now);
  }
}

void Sender::begin_attempt(Time now) {
  ++attempt_;
  heard_ = now;
  accepted_ = false;
  unanswered_bytes_ = 0;
  writer_ = ManifestWriter(id_, attempt_);
  match_ = base_ok_ ? BaseMatch(source_->rows, *memory_.base) : BaseMatch();
  emit_row_ = emit_piece_ = 0;
  emit_offset_ = 0;
  row_begun_ = false;
  queue_.clear();
  awaited_.clear();
  needed_.clear();
  announced_ = 0;
  progress_.bytes_done = progress_.bytes_present = progress_.files_done = 0;
  for (const auto* queue : {&ready_, &soon_, &urgent_})
    for (const Ready& ready : *queue) in_flight_bytes_ -= ready.raw_bytes;
  drop_ready();
  send_offer();
  state_ = State::kOffered;
}

void Sender::send_offer() {
  wire::Offer offer;
  offer.transfer = id_;
  offer.attempt = attempt_;
  offer.dataset = options_.dataset;
  offer.ahead = ahead_;
  if (tree_) offer.root = tree_->root();
  if (base_ok_) offer.base = memory_.base->root();
  offer.files = progress_.files_total;
  const std::uint64_t sparse = source_->rows.sparse_bytes();
  offer.bytes = progress_.bytes_total - std::min(progress_.bytes_total, sparse);
  offer_open_ = true;
  post_.message(Lane::kControl, packed(offer));
}

void Sender::drop_ready() {
  ready_.clear();
  soon_.clear();
  urgent_.clear();
}

void Sender::give(JobClass where, std::unique_ptr<Work> work) {
  ++jobs_out_;
  post_.task(where, std::move(work));
}

void Sender::fail_with(Time now, Error error) {
  stop(now, std::move(error), true);
}

void Sender::stop(Time now, Error why, bool tell) {
  if (ended()) return;
  stages_.enter(now, Stage::kPeer);
  state_ = State::kFailed;
  error_ = std::move(why);
  drop_ready();
  const std::size_t unborn = post_.tasks();
  post_.clear();
  jobs_out_ -= unborn;
  if (!tell) return;
  wire::Stop stop;
  stop.transfer = id_;
  stop.kind = error_.kind();
  stop.text = printable(error_.message(), wire::kReasonMax);
  post_.message(Lane::kControl, packed(stop));
}

// --- what the peer says ---

void Sender::on_accept(Time now, const wire::Admit& accept) {
  heard_ = now;
  if (state_ == State::kRooting || ended() || accept.attempt != attempt_) return;
  accepted_ = true;
  offer_open_ = false;
  if (state_ == State::kOffered) state_ = State::kSending;
  const bool is_wrong = base_ok_ && !accept.base_known;
  if (is_wrong) {
    // Our memory of that site was wrong: everything is told in full, and nothing more goes on a
    // guess.
    base_ok_ = false;
    ahead_ = false;
  }
  if (!changed_.empty() && !root_asked_) return changed(now, std::exchange(changed_, {}));
  if (is_wrong) begin_attempt(now);
}

void Sender::on_want(Time now, const wire::Want& want) {
  heard_ = now;
  if (ended() || want.attempt != attempt_) return;
  auto present = queue_.answer(want);
  if (!present) return fail_with(now, present.error());
  accepted_ = true;  // a word is a word, whichever came first
  progress_.bytes_present += *present;
  progress_.bytes_done += *present;
  logical_rate_.add(now, *present);
}

void Sender::on_demand(Time now, const wire::Demand& demand) {
  heard_ = now;
  if (ended() || demand.attempt != attempt_) return;
  is_read_ = true;
  if (const auto taken = queue_.demand(demand); !taken) return fail_with(now, taken.error());
  pass_others(demand);
}

void Sender::on_receipt(Time now, const wire::Receipt& receipt) {
  heard_ = now;
  const std::uint64_t settled = std::min(receipt.settled_bytes, progress_.bytes_total);
  if (ended()) return;
  const std::uint64_t files = std::min(receipt.settled_files, progress_.files_total);
  progress_.files_done = std::max(progress_.files_done, files);
  if (settled <= progress_.bytes_done) return;
  logical_rate_.add(now, settled - progress_.bytes_done);
  progress_.bytes_done = settled;
}

void Sender::on_committed(Time now, const wire::Committed& committed) {
  if (ended()) return;
  // The receiver may know the tree from the offer alone; otherwise it has seen the seal. Anything
  // else is a claim about bytes it cannot have.
  if (!tree_ || committed.root != tree_->root())
    return fail_with(now, Error(Kind::kIntegrity, "finish " + printable(options_.dataset),
                                "the peer committed another tree"));
  state_ = State::kDone;
  committed_ = committed;
  if (committed.existed) progress_.bytes_present = progress_.bytes_total;
  progress_.bytes_done = progress_.bytes_total;
  progress_.files_done = progress_.files_total;
  progress_.totals_final = true;
  drop_ready();
  const std::size_t unborn = post_.tasks();
  post_.clear();
  jobs_out_ -= unborn;
  if (source_->delivered) give(JobClass::kDisk, std::make_unique<DeliveredWork>(source_));
}

void Sender::on_link(Time now, session::LinkState state) {
  link_up_ = state == session::LinkState::kUp;
  heard_ = said_ = now;  // silence counts only while there is a link
}

// --- work that comes back ---

void Sender::on_job(Time now, Work& work) {
  ASSERT(jobs_out_ > 0);
  --jobs_out_;
  if (auto* encoded = dynamic_cast<EncodeWork*>(&work)) return take_encoded(now, *encoded);
  if (ended()) return;
  if (auto* hashed = dynamic_cast<HashWork*>(&work)) return take_hashed(now, *hashed);
  auto* rooted = dynamic_cast<RootWork*>(&work);
  ASSERT(rooted != nullptr);
  root_asked_ = false;
  if (!changed_.empty()) return changed(now, std::exchange(changed_, {}));
  if (rooted->attempt != attempt_) return;
  if (rooted->error) return fail_with(now, *rooted->error);
  tree_ = std::move(rooted->tree);
  if (state_ == State::kRooting) return begin_attempt(now);
}

void Sender::take_hashed(Time now, HashWork& work) {
  auto outcome = hasher_.take(work);
  if (outcome.error) return fail_with(now, std::move(*outcome.error));
  if (!outcome.changed.empty()) changed(now, outcome.changed);
}

void Sender::take_encoded(Time now, EncodeWork& work) {
  --encode_jobs_;
  std::uint64_t raw_bytes = 0;
  for (const EncodeWork::Part& part : work.parts) raw_bytes += part.length;
  const bool stale = ended() || work.attempt != attempt_;
  const std::uint32_t row = work.parts.front().row;
  if (stale || work.error || !work.changed.empty()) {
    in_flight_bytes_ -= raw_bytes;
    chooser_.on_lost(row, work.rung);
  }
  if (stale) return;
  if (work.error) return fail_with(now, *work.error);
  if (!work.changed.empty()) return changed(now, work.changed);
  chooser_.on_measured(row, source_->rows.bytes(row), work.measured);
  place({std::move(work.block), raw_bytes, std::move(work.runs)}, work.turn);
}

// Not what the walk saw, or not what the manifest says: those files are taken as they are now.
void Sender::changed(Time now, const std::vector<std::uint32_t>& rows) {
  // The rows are being read for the root: wait for that. Or the peer has not answered the last
  // offer, and would take another one for a broken peer's.
  if (root_asked_ || offer_open_) {
    changed_.insert(changed_.end(), rows.begin(), rows.end());
    return;
  }
  if (attempt_ >= kAttemptsMax) {
    return fail_with(now, Error(Kind::kChanged, "read " + source_->rows.name(rows.front()).shown(),
                                "it keeps changing while it is sent; try again or exclude it"));
  }
  hasher_.again(rows);
  tree_.reset();
  ahead_ = false;
  begin_attempt(now);
}

// --- what goes out ---

std::optional<Output> Sender::poll(Time now, const session::Room& room) {
  if (!ended() && state_ != State::kRooting) {
    feed_jobs();
    feed_manifest();
    feed_encoding(now);
    finish_manifest();
  }
  if (auto output = post_.next(room)) {
    if (std::holds_alternative<session::Message>(*output)) said_ = now;
    return output;
  }
  if (ended()) return std::nullopt;
  auto block = next_block(now, room);
  if (block) said_ = now;
  note_stage(now, room);
  return block;
}

std::optional<Time> Sender::next_deadline() const {
  if (ended()) return std::nullopt;
  std::optional<Time> due;
  if (link_up_ && state_ != State::kRooting) due = heard_ + kPeerSilenceMax;
  if (link_up_ && (!due || said_ + kBeatEvery < *due)) due = said_ + kBeatEvery;
  if (rate_waits_ && (!due || rate_free_ < *due)) due = rate_free_;
  return due;
}

void Sender::beat(Time now) {
  if (ended() || !link_up_ || now < said_ + kBeatEvery) return;
  said_ = now;
  wire::Beat beat;
  beat.transfer = id_;
  post_.live(id_.value(), packed(beat));
}

void Sender::on_deadline(Time now) {
  beat(now);
  if (ended() || !link_up_ || state_ == State::kRooting || now < heard_ + kPeerSilenceMax) return;
  // Hashing a huge file says nothing to the peer, nor it to us.
  if (!hasher_.done()) {
    heard_ = now;
    return;
  }
  fail_with(now,
            Error(Kind::kTimeout, "send " + printable(options_.dataset), "the peer fell silent"));
}

Progress Sender::progress(Time now) const {
  Progress out = progress_;
  out.link_up = link_up_;
  complete(out, now, logical_rate_, wire_rate_, stages_);
  return out;
}

void Sender::check() const {
  std::uint64_t ready_bytes = 0;
  for (const auto* queue : {&ready_, &soon_, &urgent_})
    for (const Ready& ready : *queue) ready_bytes += ready.raw_bytes;
  ASSERT(ended() || ready_bytes <= in_flight_bytes_);
  ASSERT(in_flight_bytes_ <= kAllInFlightMax + wire::kBlockBytesMax);
  ASSERT(announced_ <= writer_.chunks() && queue_.size() == writer_.chunks());
}

}  // namespace longhaul::transfer
