// Notes: the records of a staging's journal (docs/store.md, "Staging"), each a kind in its first
// byte and what it says behind it. Made and measured here, acted on by Staging. Pure functions.
#pragma once

#include <cstdint>
#include <vector>

#include "lib/store/staging.hpp"

namespace longhaul::store {

enum class Note : std::uint8_t { kFile = 1, kChunks = 2, kVoid = 3, kEpoch = 4, kGone = 5 };

constexpr std::size_t kChunkNoteBytes = 4 + 8 + 4 + crypto::Digest::kSize;
constexpr std::size_t kChunksPerNote = 8192;  // 384 KiB, under kJournalRecordMax

ByteVector file_note(FileNo no, const TreeName& name, std::uint64_t size);
ByteVector void_note(FileNo no, std::uint64_t offset, std::uint64_t length);
ByteVector epoch_note(std::uint64_t covered);  // so many records before it speak of synced bytes
ByteVector gone_note(FileNo no);
// Adds one chunk to a note of chunks, which may be empty before.
void add_chunk(ByteVector& note, const StagedChunk& chunk);
// Whether the note holds as many chunks as one may.
bool full(const ByteVector& note);

// After another boot: the records that speak of what was synced, and of the later ones those that
// take something of it away, since it may be gone.
std::vector<ByteVector> durable_notes(std::vector<ByteVector> records);

}  // namespace longhaul::store
