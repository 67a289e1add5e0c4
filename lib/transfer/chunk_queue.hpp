// ChunkQueue: which chunk a sender sends next. Chunks are numbered as the manifest names them, and
// each is in exactly one state. What may go ahead leaves in manifest order; what the receiver asked
// for goes before that, what somebody reads there already first of all; what it is believed to
// hold, and second copies of one content, wait for its bit. A value of the session's strand.
#pragma once

#include <deque>
#include <vector>

#include "lib/base/number_table.hpp"
#include "lib/base/result.hpp"
#include "lib/transfer/rows.hpp"
#include "lib/wire/transfer.hpp"

namespace longhaul::transfer {

struct SendChunk {
  enum class State : std::uint8_t {
    kAhead,    // goes when its turn comes
    kWaiting,  // only if wanted
    kWanted,   // asked for, goes before the others
    kTaken,    // read, encoded or sent
    kDenied,   // the receiver has it
  };
  std::uint32_t row = 0;
  std::uint32_t piece = 0;   // of the row; names its content
  std::uint64_t offset = 0;  // in its file
  std::uint32_t length = 0;
  State state = State::kAhead;
  bool sent_before = false;
};

// Whose turn a block is: of chunks that somebody waits for, or needs soon, or of any.
enum class Turn : std::uint8_t { kUrgent, kSoon, kAny };

class ChunkQueue {
 public:
  explicit ChunkQueue(const Rows& rows) : rows_(rows) {}  // which outlive it
  void clear();
  // Numbers follow by themselves. wait: do not send before it is asked for.
  void add(SendChunk chunk, bool wait);
  // The receiver's word on a run of chunks; kMalformed if it is about chunks not yet named.
  // Returns the bytes it has already, counted once per chunk.
  Result<std::uint64_t> answer(const wire::Want& want);
  // These go before others, in this order, until the next demand; those already on their way stay
  // where they are. kMalformed if it is about chunks not yet named.
  Result<> demand(const wire::Demand& demand);
  // The chunks of one block: consecutive in the order of sending, at most `most` bytes. They become
  // kTaken. Only numbers below `named` are taken: the others' names have not left yet.
  std::vector<std::uint64_t> pick(std::size_t most, std::uint64_t named, Turn turn);

  const SendChunk& at(std::uint64_t number) const {
    return chunks_[static_cast<std::size_t>(number)];
  }
  std::uint64_t size() const { return chunks_.size(); }
  std::uint64_t sendable_bytes() const { return sendable_bytes_; }
  std::uint64_t sendable_chunks() const { return sendable_chunks_; }
  std::uint64_t resent_bytes() const { return resent_bytes_; }
  void check() const;

 private:
  using Numbers = std::deque<std::uint64_t>;
  std::optional<std::uint64_t> next(std::uint64_t named, Turn turn);
  std::optional<std::uint64_t> first_sendable(Numbers& numbers);
  void set(SendChunk& chunk, SendChunk::State state);
  void count(const SendChunk& chunk);
  static bool sendable(SendChunk::State s) {
    return s == SendChunk::State::kAhead || s == SendChunk::State::kWanted;
  }

  const crypto::Digest& id(std::uint32_t number) const {
    return rows_.chunk(chunks_[number].row, chunks_[number].piece);
  }

  const Rows& rows_;
  Pile<SendChunk> chunks_;
  NumberTable first_of_;  // of each content
  // In the order of their turns; those that have had it are passed over.
  Numbers wanted_, urgent_, soon_;
  std::uint64_t ahead_from_ = 0;  // no kAhead below it
  std::uint64_t sendable_bytes_ = 0, sendable_chunks_ = 0;
  std::uint64_t resent_bytes_ = 0;
};

}  // namespace longhaul::transfer
