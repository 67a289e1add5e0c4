#include "lib/transfer/chunk_table.hpp"

namespace longhaul::transfer {

std::optional<std::uint64_t> ChunkTable::first_of(const crypto::Digest& id) const {
  const std::uint64_t begin = begin_of(id);
  return first_of_.find(begin, [&](std::uint32_t n) { return chunks_[n].begin == begin; });
}

void ChunkTable::add(const store::StagedChunk& place, State state) {
  const std::size_t number = chunks_.size();
  Chunk chunk;
  chunk.offset = place.offset;
  chunk.begin = begin_of(place.chunk);
  chunk.file = place.file;
  chunk.length = place.length & 0xffffffU;
  chunk.state = state;
  if (!first_of(place.chunk))
    first_of_.add(chunk.begin, static_cast<std::uint32_t>(number),
                  [this](std::uint32_t n) { return chunks_[n].begin; });
  chunks_.push_back(chunk);
  const std::size_t run = number / kRun;
  if (run == runs_.size()) runs_.push_back(std::make_unique<Run>());
  if (state != State::kHere) {
    runs_[run]->ids[number % kRun] = place.chunk;
    ++runs_[run]->pending;
    ++pending_;
  }
  settle(run);
}

void ChunkTable::set(std::uint64_t number, State state) {
  Chunk& chunk = chunks_[index(number)];
  ASSERT(chunk.state != State::kHere && pending_ > 0);
  chunk.state = state;
  if (state != State::kHere) return;
  const std::size_t run = index(number) / kRun;
  --pending_;
  --runs_[run]->pending;
  settle(run);
}

void ChunkTable::settle(std::size_t run) {
  const bool is_whole = chunks_.size() >= (run + 1) * kRun;
  if (is_whole && runs_[run]->pending == 0) runs_[run].reset();
}

store::StagedChunk ChunkTable::place(std::uint64_t number) const {
  const Chunk& chunk = at(number);
  ASSERT(chunk.state != State::kHere);
  return {chunk.file, chunk.offset, chunk.length, runs_[index(number) / kRun]->ids[number % kRun]};
}

void ChunkTable::check() const {
  std::vector<std::size_t> pending(runs_.size());
  for (std::size_t i = 0; i < chunks_.size(); ++i)
    if (chunks_[i].state != State::kHere) ++pending[i / kRun];
  std::uint64_t sum = 0;
  for (std::size_t run = 0; run < runs_.size(); ++run) {
    ASSERT(pending[run] == (runs_[run] ? runs_[run]->pending : 0));
    sum += pending[run];
  }
  ASSERT(sum == pending_);
}

}  // namespace longhaul::transfer
