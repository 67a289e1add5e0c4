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

Note kind_of(Bytes record) {
  return record.empty() ? Note{} : static_cast<Note>(record[0]);
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

std::vector<ByteVector> durable_notes(std::vector<ByteVector> records) {
  std::uint64_t covered = 0;
  for (std::size_t i = 0; i < records.size(); ++i) {
    const Bytes record = records[i];
    if (kind_of(record) == Note::kEpoch && record.size() == 9)
      covered = std::min<std::uint64_t>(load_le<std::uint64_t>(record.subspan(1)), i);
  }
  std::vector<bool> known;  // by number: whether it stands for a file, and still does
  std::size_t kept = 0;
  for (std::size_t i = 0; i < records.size(); ++i) {
    const Bytes record = records[i];
    const Note note = kind_of(record);
    const bool of_a_file = note == Note::kFile || note == Note::kVoid || note == Note::kGone;
    std::size_t no = known.size();
    if (of_a_file && record.size() >= 5) no = load_le<std::uint32_t>(record.subspan(1));
    if (i < covered) {
      if (note == Note::kFile && no == known.size()) known.push_back(true);
    } else if (!of_a_file || no >= known.size() || !known[no]) {
      continue;
    }
    if (note == Note::kGone && no < known.size()) known[no] = false;
    if (kept != i) records[kept] = std::move(records[i]);
    ++kept;
  }
  records.resize(kept);
  return records;
}

}  // namespace longhaul::store
