#include "lib/store/chunk_index.hpp"

namespace longhaul::store {

Result<> MemoryIndex::add(const TreeName& file, std::span<const Piece> pieces) {
  const std::lock_guard lock(mutex_);
  const auto no = static_cast<std::uint32_t>(files_.size());
  files_.push_back(file);
  std::uint64_t offset = 0;
  for (const Piece& piece : pieces) {
    if (!piece.hole) chunks_[piece.chunk] = {no, static_cast<std::uint32_t>(piece.length), offset};
    offset += piece.length;
  }
  return {};
}

Result<std::optional<ChunkPlace>> MemoryIndex::find(const ChunkId& chunk) {
  const std::lock_guard lock(mutex_);
  const auto at = chunks_.find(chunk);
  if (at == chunks_.end()) return std::optional<ChunkPlace>();
  return std::optional(ChunkPlace{files_[at->second.file], at->second.offset, at->second.length});
}

Result<> MemoryIndex::forget_under(const TreeName& folder) {
  const std::lock_guard lock(mutex_);
  std::erase_if(chunks_,
                [&](const auto& known) { return files_[known.second.file].is_within(folder); });
  return {};
}

Result<> MemoryIndex::clear() {
  const std::lock_guard lock(mutex_);
  chunks_.clear();
  files_.clear();
  return {};
}

Result<std::uint64_t> MemoryIndex::size() {
  const std::lock_guard lock(mutex_);
  return static_cast<std::uint64_t>(chunks_.size());
}

Result<Slice> read_chunk(Files& files, const ChunkPlace& place, const ChunkId& chunk) {
  if (place.length == 0 || place.length > kChunkBytesMax)
    return fail(Kind::kIntegrity, "read a chunk", "the index names an impossible length");
  auto file = TRY(files.open(place.file, Access::kRead));
  Buffer buffer(place.length);
  const MutableBytes bytes = buffer.bytes().first(place.length);
  const std::size_t got = TRY(file->read_at(bytes, place.offset));
  if (got != place.length || crypto::sha256(Bytes(bytes)) != chunk)
    return fail(Kind::kIntegrity, "read a chunk of " + place.file.shown(), "it is another one now");
  return std::move(buffer).freeze(place.length);
}

}  // namespace longhaul::store
