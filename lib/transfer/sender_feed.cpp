// The sender's pipeline: rows hashed, named in segments, encoded, offered; each stage fed as far as
// its bound.
#include <algorithm>
#include <array>
#include <iterator>
#include <utility>

#include "compression/chunker.hpp"
#include "lib/transfer/sender.hpp"

namespace longhaul::transfer {

using session::Lane;
using wire::TransferMessage;

namespace {
Slice packed(const TransferMessage& message) {
  return Slice::copy_of(wire::encode(message));
}
}  // namespace

bool Sender::may_hash() const {
  if (is_read_) return true;
  if (queue_.sendable_chunks() >= kHashAheadChunksMax) return false;
  if (accepted_) return queue_.sendable_bytes() < kHashAheadMax;
  return queue_.sendable_bytes() < kHashUnansweredMax && hasher_.kept_bytes() < kHashAheadMax;
}

void Sender::feed_jobs() {
  while (may_hash()) {
    auto task = hasher_.next();
    if (!task) return;
    give(task->where, std::move(task->work));
  }
}

void Sender::feed_manifest() {
  // A segment waits for the one before it to be taken, so that a wrong base or a change costs
  // little.
  const auto& rows = source_->rows;
  while (emit_row_ < rows.size() && post_.queued_bytes() < wire::kSegmentBytesMax) {
    if (!row_begun_) {
      auto run = match_.run_at(emit_row_);
      if (run.rows == 0 && match_.may_be_same(emit_row_)) {
        if (rows.is_open(emit_row_)) break;  // wait for all of it: most likely nothing need be told
        run = match_.late_run_at(emit_row_);
      }
      if (run.rows > 0) {
        writer_.same(rows.name(emit_row_), run.more_siblings);
        count_same(emit_row_, run.rows);
        emit_row_ += run.rows;
        if (writer_.full()) flush_segment();
        continue;
      }
      if (rows.is_open(emit_row_) && rows.piece_count(emit_row_) == 0) break;
      if (!find_base_file()) break;
      writer_.begin(rows.entry(emit_row_));
      row_begun_ = true;
      emit_piece_ = 0;
      emit_offset_ = 0;
    }
    const std::size_t pieces = rows.piece_count(emit_row_);
    while (emit_piece_ < pieces && !writer_.full()) emit_piece();
    if (writer_.full()) flush_segment();
    if (emit_piece_ < pieces) continue;
    if (rows.is_open(emit_row_)) break;
    row_begun_ = false;
    ++emit_row_;
  }
  // Nothing to encode without names: what is there goes now, however little it is.
  if (!writer_.empty() && post_.queued_bytes() == 0) flush_segment();
}

// false: the peer will soon have said whether it understands parts of the base's files, and this is
// so large that they are worth waiting for.
bool Sender::find_base_file() {
  base_file_ = {};
  const auto known = options_.peer_knows_base_parts;
  if (known == false) return true;
  if (!known && source_->rows.bytes(emit_row_) < kWorthAskingBytes) return true;
  auto pieces = match_.base_pieces(emit_row_);
  if (!pieces.empty() && !known) return false;
  base_file_ = BaseFile(std::move(pieces));
  return true;
}

void Sender::emit_piece() {
  const store::Piece piece = source_->rows.piece(emit_row_, emit_piece_);
  if (const auto place = base_file_.place_of(piece))
    writer_.base_piece(piece, *place);
  else
    writer_.piece(piece);
  if (!piece.hole) {
    const bool wait = !ahead_ || match_.believed_present(piece.chunk);
    queue_.add({static_cast<std::uint32_t>(emit_row_), static_cast<std::uint32_t>(emit_piece_),
                emit_offset_, static_cast<std::uint32_t>(piece.length)},
               wait);
  }
  ++emit_piece_;
  emit_offset_ += piece.length;
}

void Sender::count_same(std::size_t row, std::size_t rows) {
  for (std::size_t i = row; i < row + rows; ++i) progress_.bytes_present += source_->rows.bytes(i);
}

void Sender::flush_segment() {
  const wire::Segment segment = writer_.take();
  announced_ = writer_.chunks();
  Slice body = packed(segment);
  progress_.bytes_manifest += body.size();
  unanswered_bytes_ += accepted_ ? 0 : body.size();
  post_.message(Lane::kDemand, std::move(body));
}

void Sender::finish_manifest() {
  if (state_ == State::kSealed || emit_row_ < source_->rows.size() || !writer_.empty() ||
      !hasher_.done() || !changed_.empty())
    return;
  if (!tree_) {
    if (!root_asked_) {
      root_asked_ = true;
      give(JobClass::kCompute, std::make_unique<RootWork>(source_, attempt_));
    }
    return;
  }
  wire::Seal seal;
  seal.transfer = id_;
  seal.attempt = attempt_;
  seal.segments = writer_.segments();
  seal.chunks = writer_.chunks();
  seal.entries = source_->rows.size();
  seal.root = tree_->root();
  count_totals();
  seal.bytes = progress_.bytes_total;
  progress_.totals_final = true;
  post_.message(Lane::kControl, packed(seal));
  state_ = State::kSealed;
}

bool Sender::may_go_ahead() const {
  return accepted_ || (ahead_ && unanswered_bytes_ + in_flight_bytes_ < kEarlyMax);
}

// Under a limit a block is a burst at the link's own rate: an eighth of a second's worth, as far as
// chunks allow.
std::size_t Sender::block_bytes() const {
  if (!options_.limit) return wire::kBlockBytesMax;
  return static_cast<std::size_t>(std::clamp<std::uint64_t>(
      options_.limit->value() / 8, compression::kAverageChunkBytes, wire::kBlockBytesMax));
}

void Sender::feed_encoding(Time now) {
  // A full pipeline does not keep back what somebody waits for, or needs soon.
  constexpr std::array<std::pair<Turn, std::uint64_t>, 3> kTurns = {{
      {Turn::kUrgent, kAllInFlightMax},
      {Turn::kSoon, kInFlightMax + kSoonInFlightMax},
      {Turn::kAny, kInFlightMax},
  }};
  while (encode_jobs_ < options_.encode_jobs && may_go_ahead()) {
    std::vector<std::uint64_t> picked;
    Turn turn = Turn::kAny;
    for (const auto& [whose, most] : kTurns) {
      if (!picked.empty() || in_flight_bytes_ >= most) continue;
      turn = whose;
      picked = queue_.pick(block_bytes(), announced_, turn);
    }
    if (picked.empty()) return;
    encode(now, picked, turn);
  }
}

void Sender::encode(Time now, const std::vector<std::uint64_t>& picked, Turn turn) {
  std::vector<EncodeWork::Part> parts;
  for (const std::uint64_t number : picked) {
    const SendChunk& chunk = queue_.at(number);
    const Rows& rows = source_->rows;
    parts.push_back({number, rows.chunk(chunk.row, chunk.piece),
                     rows.name(chunk.row).under(source_->root), chunk.row, chunk.offset,
                     chunk.length, hasher_.take_kept(chunk.row, chunk.offset, chunk.length)});
    in_flight_bytes_ += chunk.length;
  }
  const std::uint32_t row = parts.front().row;
  link_guess_.on_block(now, stages_.limit(now), wire_rate_.rate(now));
  // Who waits for the manifest waits for the hashing, which wants the cores.
  const CodecChooser::Needs needs{turn == Turn::kUrgent, is_read_ && !hasher_.done()};
  const auto rung = chooser_.choose(row, source_->rows.bytes(row), link_guess_.rate(), needs).rung;
  ++encode_jobs_;
  give(JobClass::kEncode,
       std::make_unique<EncodeWork>(source_->files, id_, attempt_, std::move(parts), rung,
                                    options_.clocks, turn));
}

// What is waited for, or needed soon, may be encoded already, behind minutes of others on a slow
// link; and behind what is needed later, if that was encoded before.
void Sender::pass_others(const wire::Demand& demand) {
  awaited_.take({demand.runs, 0, demand.urgent});
  needed_.take({demand.runs, demand.urgent, ~std::uint64_t{0}});
  for (Ready& ready : urgent_) ready.place = 0;  // of an earlier Demand, and on its way since
  auto waiting = std::exchange(soon_, {});
  std::move(ready_.begin(), ready_.end(), std::back_inserter(waiting));
  ready_.clear();
  for (Ready& ready : waiting) place(std::move(ready), Turn::kAny);
}

// turn: what it was picked as; what it is now may be more.
void Sender::place(Ready ready, Turn turn) {
  const auto awaited = awaited_.place_of(ready.runs), needed = needed_.place_of(ready.runs);
  auto* queue = &ready_;
  if (turn == Turn::kUrgent || awaited)
    queue = &urgent_;
  else if (turn == Turn::kSoon || needed)
    queue = &soon_;
  // What was picked for an earlier Demand, and is of no place in this one, is behind those that
  // are.
  ready.place = (queue == &urgent_ ? awaited : needed).value_or(DemandPlaces::kNone);
  const auto behind =
      std::upper_bound(queue->begin(), queue->end(), ready,
                       [](const Ready& a, const Ready& b) { return a.place < b.place; });
  queue->insert(behind, std::move(ready));
}

std::optional<Output> Sender::next_block(Time now, const session::Room& room) {
  rate_waits_ = false;
  const bool urgent = !urgent_.empty() && room.in(Lane::kDemand);
  auto& queue = urgent ? urgent_ : !soon_.empty() ? soon_ : ready_;
  if (!urgent && (queue.empty() || !room.in(Lane::kBulk))) return std::nullopt;
  if (options_.limit && now < rate_free_) {
    rate_waits_ = true;
    return std::nullopt;
  }
  Ready ready = std::move(queue.front());
  queue.pop_front();
  in_flight_bytes_ -= ready.raw_bytes;
  const std::uint64_t wire_bytes = ready.block.size();
  if (!accepted_) unanswered_bytes_ += wire_bytes;
  if (options_.limit && options_.limit->value() > 0)
    rate_free_ = std::max(rate_free_, now) + options_.limit->time_for(ByteCount(wire_bytes));
  progress_.bytes_raw += ready.raw_bytes;
  progress_.bytes_wire += wire_bytes;
  wire_rate_.add(now, wire_bytes);
  session::Message message;
  message.lane = urgent ? Lane::kDemand : Lane::kBulk;
  message.body = std::move(ready.block);
  return Output(std::move(message));
}

// Why no more leaves right now, asked whenever the session asked for output and got none.
void Sender::note_stage(Time now, const session::Room& room) {
  Stage stage = Stage::kPeer;
  if (!ready_.empty() || !soon_.empty() || !urgent_.empty())
    stage = options_.limit && now < rate_free_ ? Stage::kRateCap : Stage::kLink;
  else if (!room.in(Lane::kBulk) || !link_up_)
    stage = Stage::kLink;
  else if (encode_jobs_ > 0)
    stage = Stage::kCpu;
  else if (!hasher_.done())
    stage = Stage::kDisk;
  stages_.enter(now, stage);
}

}  // namespace longhaul::transfer
