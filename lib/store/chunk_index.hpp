// ChunkIndex: where the bytes of a chunk can be found among published files, so that what is here
// is not sent again. A cache, never truth: what it names is hashed again before use, what it forgot
// crosses the link once more, and rebuild_index() (audit.hpp) restores it from the manifests.
// Thread-safe. io::SqliteIndex keeps it on disk; MemoryIndex is for the simulation and small roots.
#pragma once

#include <mutex>
#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

#include "lib/base/slice.hpp"
#include "lib/store/entry.hpp"
#include "lib/store/files.hpp"

namespace longhaul::store {

struct ChunkPlace {
  TreeName file;  // below the root
  std::uint64_t offset = 0;
  std::uint32_t length = 0;
};

class ChunkIndex {
 public:
  ChunkIndex() = default;
  virtual ~ChunkIndex() = default;
  ChunkIndex(const ChunkIndex&) = delete;
  ChunkIndex& operator=(const ChunkIndex&) = delete;
  // The chunks of a file, from its start; a chunk known elsewhere is now known here.
  virtual Result<> add(const TreeName& file, std::span<const Piece> pieces) = 0;
  virtual Result<std::optional<ChunkPlace>> find(const ChunkId& chunk) = 0;
  virtual Result<> forget_under(const TreeName& folder) = 0;
  // Empty from here; it counts as lost until finish_rebuild(), so that one that was cut short is
  // begun again.
  virtual Result<> clear() = 0;
  virtual Result<> finish_rebuild() = 0;     // it holds all that the manifests name
  virtual Result<> flush() = 0;              // additions so far survive the process
  virtual Result<std::uint64_t> size() = 0;  // chunks
};

class MemoryIndex final : public ChunkIndex {
 public:
  Result<> add(const TreeName& file, std::span<const Piece> pieces) override;
  Result<std::optional<ChunkPlace>> find(const ChunkId& chunk) override;
  Result<> forget_under(const TreeName& folder) override;
  Result<> clear() override;
  Result<> finish_rebuild() override { return {}; }
  Result<> flush() override { return {}; }
  Result<std::uint64_t> size() override;

 private:
  struct At {
    std::uint32_t file = 0, length = 0;
    std::uint64_t offset = 0;
  };
  std::mutex mutex_;
  std::vector<TreeName> files_;
  std::unordered_map<ChunkId, At> chunks_;  // only looked up
};

// The bytes of a chunk from its place, hashed: kIntegrity if they are not it any more, kNotFound if
// the place is gone.
Result<Slice> read_chunk(Files& files, const ChunkPlace& place, const ChunkId& chunk);

}  // namespace longhaul::store
