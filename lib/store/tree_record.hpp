// One record of a Tree's bytes (docs/store.md, "Manifest"), read and written. Reading judges
// everything that can be judged without the records around it. Not for others than tree.cpp and its
// tests.
#pragma once

#include <span>
#include <vector>

#include "lib/base/bytes.hpp"
#include "lib/store/entry.hpp"

namespace longhaul::store {

struct RecordHead {
  EntryType type = EntryType::kFile;
  std::string_view name;  // one component
  std::uint32_t mode = 0;
  WallTime mtime;
  std::uint64_t size = 0;
  std::string_view target;
  Bytes pieces;              // encoded
  crypto::Digest digest;     // folder
  std::uint64_t inside = 0;  // folder: bytes of the records it holds
};

constexpr std::size_t kInsideBytes = 8;
constexpr std::size_t kFolderTail = 32 + kInsideBytes;  // digest, inside: filled in on leaving

ByteVector encode_pieces(std::span<const Piece> pieces);
// Appends the record; a folder's tail is zero until seal_folder().
void write_record(ByteVector& out, const RecordHead& head);
void seal_folder(MutableBytes tail, const crypto::Digest& digest, std::uint64_t inside);
// Takes one record off the front of `in`.
Result<RecordHead> read_record(Bytes& in);
// Judges encoded pieces: their lengths and that they add up to `size`. Returns the chunk count.
Result<std::uint64_t> check_pieces(Bytes encoded, std::uint64_t size);
std::vector<Piece> decode_pieces(Bytes encoded);  // of checked ones

}  // namespace longhaul::store
