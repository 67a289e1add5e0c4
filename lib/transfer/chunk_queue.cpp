#include "lib/transfer/chunk_queue.hpp"

namespace longhaul::transfer {

using State = SendChunk::State;

void ChunkQueue::set(SendChunk& chunk, State state) {
  if (sendable(chunk.state)) {
    sendable_bytes_ -= chunk.length;
    --sendable_chunks_;
  }
  chunk.state = state;
  count(chunk);
}

void ChunkQueue::count(const SendChunk& chunk) {
  if (!sendable(chunk.state)) return;
  sendable_bytes_ += chunk.length;
  ++sendable_chunks_;
}

void ChunkQueue::clear() {
  chunks_.clear();
  first_of_.clear();
  wanted_.clear();
  urgent_.clear();
  soon_.clear();
  ahead_from_ = sendable_bytes_ = sendable_chunks_ = resent_bytes_ = 0;
}

void ChunkQueue::add(SendChunk chunk, bool wait) {
  const auto number = static_cast<std::uint32_t>(chunks_.size());
  const crypto::Digest& content = rows_.chunk(chunk.row, chunk.piece);
  const std::hash<crypto::Digest> hash;
  const bool twin =
      first_of_.find(hash(content), [&](std::uint32_t n) { return id(n) == content; }).has_value();
  if (!twin) first_of_.add(hash(content), number, [&](std::uint32_t n) { return hash(id(n)); });
  chunk.state = wait || twin ? State::kWaiting : State::kAhead;
  count(chunk);
  chunks_.push_back(chunk);
}

Result<std::uint64_t> ChunkQueue::answer(const wire::Want& want) {
  if (want.first_chunk > chunks_.size() || want.missing.size() > chunks_.size() - want.first_chunk)
    return fail(Kind::kMalformed, "read a want", "it is about chunks that were not named");
  std::uint64_t present = 0;
  for (std::size_t i = 0; i < want.missing.size(); ++i) {
    const std::uint64_t number = want.first_chunk + i;
    SendChunk& chunk = chunks_[static_cast<std::size_t>(number)];
    if (want.missing.test(i)) {
      if (chunk.state == State::kWaiting || (want.again && chunk.state != State::kWanted)) {
        set(chunk, State::kWanted);
        wanted_.push_back(number);
      }
    } else if (!want.again && (chunk.state == State::kWaiting || chunk.state == State::kAhead)) {
      set(chunk, State::kDenied);
      present += chunk.length;
    }
  }
  return present;
}

Result<> ChunkQueue::demand(const wire::Demand& demand) {
  const auto broken = [](const char* why) { return fail(Kind::kMalformed, "read a demand", why); };
  std::uint64_t count = 0;
  for (const wire::ChunkRun& run : demand.runs) {
    if (run.first > chunks_.size() || run.count > chunks_.size() - run.first)
      return broken("it is about chunks that were not named");
    count += run.count;
  }
  if (count > wire::kDemandChunksMax || demand.urgent > count) return broken("its numbers");
  urgent_.clear();
  soon_.clear();
  std::uint64_t place = 0;
  for (const wire::ChunkRun& run : demand.runs) {
    for (std::uint64_t number = run.first; number < run.first + run.count; ++number, ++place) {
      SendChunk& chunk = chunks_[static_cast<std::size_t>(number)];
      if (chunk.state == State::kWaiting) {  // it lacks what we thought it had
        set(chunk, State::kWanted);
        wanted_.push_back(number);
      }
      if (sendable(chunk.state)) (place < demand.urgent ? urgent_ : soon_).push_back(number);
    }
  }
  return {};
}

std::optional<std::uint64_t> ChunkQueue::first_sendable(Numbers& numbers) {
  while (!numbers.empty() && !sendable(chunks_[static_cast<std::size_t>(numbers.front())].state))
    numbers.pop_front();
  return numbers.empty() ? std::nullopt : std::optional(numbers.front());
}

std::optional<std::uint64_t> ChunkQueue::next(std::uint64_t named, Turn turn) {
  if (turn == Turn::kUrgent) return first_sendable(urgent_);
  if (const auto soon = first_sendable(soon_); soon || turn == Turn::kSoon) return soon;
  if (const auto wanted = first_sendable(wanted_)) return wanted;
  while (ahead_from_ < named &&
         chunks_[static_cast<std::size_t>(ahead_from_)].state != State::kAhead)
    ++ahead_from_;
  if (ahead_from_ >= named) return std::nullopt;
  return ahead_from_;
}

std::vector<std::uint64_t> ChunkQueue::pick(std::size_t most, std::uint64_t named, Turn turn) {
  std::vector<std::uint64_t> picked;
  std::size_t runs = 0;
  for (std::size_t bytes = 0;;) {
    const auto number = next(named, turn);
    if (!number) break;
    SendChunk& chunk = chunks_[static_cast<std::size_t>(*number)];
    if (bytes != 0 && bytes + chunk.length > most) break;
    const bool new_run = picked.empty() || picked.back() + 1 != *number;
    if (new_run && ++runs > wire::kBlockRunsMax) break;
    set(chunk, State::kTaken);
    if (chunk.sent_before) resent_bytes_ += chunk.length;
    chunk.sent_before = true;
    bytes += chunk.length;
    picked.push_back(*number);
  }
  return picked;
}

void ChunkQueue::check() const {
  std::uint64_t sendable_bytes = 0, sendable_chunks = 0;
  for (std::size_t i = 0; i < chunks_.size(); ++i) {
    if (!sendable(chunks_[i].state)) continue;
    sendable_bytes += chunks_[i].length;
    ++sendable_chunks;
  }
  ASSERT(sendable_bytes == sendable_bytes_ && sendable_chunks == sendable_chunks_);
}

}  // namespace longhaul::transfer
