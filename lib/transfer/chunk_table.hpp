// ChunkTable: the chunks of a manifest at its receiver, by number: where each belongs and whether
// it is here. Ids are kept only while they are needed: once all of a run of 1024 chunks are here,
// those go, and what is left of each is its first 8 bytes. So "the same content" is a belief: two
// that begin alike are taken for one, the copy then fails its hash and the chunk is asked for.
// A value of the session's strand.
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <vector>

#include "lib/base/number_table.hpp"
#include "lib/base/pile.hpp"
#include "lib/store/staging.hpp"

namespace longhaul::transfer {

class ChunkTable {
 public:
  enum class State : std::uint8_t {
    kMissing,  // wanted
    kTwin,     // its bytes come with another chunk of the same id
    kCopying,  // being fetched from elsewhere at this end
    kWriting,  // in a block being decoded
    kHere,
  };
  struct Chunk {
    std::uint64_t offset = 0;
    std::uint64_t begin = 0;  // of its id
    store::FileNo file;
    std::uint32_t length : 24 = 0;  // at most store::kChunkBytesMax
    State state : 8 = State::kMissing;
  };
  static_assert(sizeof(Chunk) == 24);  // a million small files have a million of them

  std::uint64_t size() const { return chunks_.size(); }
  const Chunk& at(std::uint64_t number) const { return chunks_[index(number)]; }
  std::uint64_t pending() const { return pending_; }  // not kHere
  // The first chunk with this content, as far as can be told.
  std::optional<std::uint64_t> first_of(const crypto::Digest& id) const;
  // The next number.
  void add(const store::StagedChunk& place, State state);
  void set(std::uint64_t number, State state);           // of one that is not kHere
  store::StagedChunk place(std::uint64_t number) const;  // the same
  void clear() { *this = {}; }
  void check() const;

 private:
  static constexpr std::size_t kRun = 1024;
  struct Run {
    std::array<crypto::Digest, kRun> ids;
    std::size_t pending = 0;
  };
  static std::uint64_t begin_of(const crypto::Digest& id) {
    return std::hash<crypto::Digest>{}(id);
  }
  static std::size_t index(std::uint64_t number) { return static_cast<std::size_t>(number); }
  void settle(std::size_t run);

  Pile<Chunk> chunks_;
  std::vector<std::unique_ptr<Run>> runs_;  // null: all of it is here
  NumberTable first_of_;
  std::uint64_t pending_ = 0;
};

}  // namespace longhaul::transfer
