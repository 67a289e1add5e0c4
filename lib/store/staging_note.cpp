#include "lib/store/staging_note.hpp"

#include <algorithm>

namespace longhaul::store {
namespace {

template <class Int>
void put(ByteVector& out, Int value) {
  const std::size_t at = out.size();
  out.resize(at + sizeof value);
  store_le(MutableBytes(out).subspan(at), value);
}

}  // namespace

ByteVector file_note(FileNo no, const TreeName& name, std::uint64_t size) {
  ByteVector note{static_cast<std::byte>(Note::kFile)};
  put(note, no.value());
  put(note, size);
  append(note, bytes_of(name.text()));
  return note;
}

ByteVector void_note(FileNo no, std::uint64_t offset, std::uint64_t length) {
  ByteVector note{static_cast<std::byte>(Note::kVoid)};
  put(note, no.value());
  put(note, offset);
  put(note, length);
  return note;
}

ByteVector epoch_note(std::uint64_t covered) {
  ByteVector note{static_cast<std::byte>(Note::kEpoch)};
  put(note, covered);
  return note;
}

ByteVector gone_note(FileNo no) {
  ByteVector note{static_cast<std::byte>(Note::kGone)};
  put(note, no.value());
  return note;
}

void add_chunk(ByteVector& note, const StagedChunk& chunk) {
  if (note.empty()) note.push_back(static_cast<std::byte>(Note::kChunks));
  put(note, chunk.file.value());
  put(note, chunk.offset);
  put(note, chunk.length);
  append(note, chunk.chunk.bytes());
}

bool full(const ByteVector& note) {
  return note.size() > kChunksPerNote * kChunkNoteBytes;
}

std::size_t durable_records(std::span<const ByteVector> records) {
  std::uint64_t covered = 0;
  for (std::size_t i = 0; i < records.size(); ++i) {
    const Bytes record = records[i];
    if (record.size() == 9 && record[0] == static_cast<std::byte>(Note::kEpoch))
      covered = std::min<std::uint64_t>(load_le<std::uint64_t>(record.subspan(1)), i);
  }
  return static_cast<std::size_t>(covered);
}

}  // namespace longhaul::store
