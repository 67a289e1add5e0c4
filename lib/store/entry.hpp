// Entry: one name of a tree with all that is kept of it; Piece: a run of a file's bytes. A file's
// pieces cover its size exactly, in order. Owner, group, extended attributes, setuid, setgid and
// sticky bits are not kept. Values.
#pragma once

#include <cstdint>
#include <string>

#include "lib/base/units.hpp"
#include "lib/crypto/digest.hpp"
#include "lib/store/tree_name.hpp"

namespace longhaul::store {

using ChunkId = crypto::Digest;  // SHA-256 of the chunk's bytes

constexpr std::uint32_t kChunkBytesMax = 256U << 10;
constexpr std::uint64_t kFileBytesMax = 1ULL << 53;
constexpr std::uint32_t kModeMask = 0777;

struct Piece {               // a chunk, or a hole, which reads as zeros and takes no space
  std::uint64_t length = 0;  // of a chunk: 1 to kChunkBytesMax
  bool hole = false;
  ChunkId chunk;  // zero for a hole
  bool operator==(const Piece&) const = default;
};

enum class EntryType : std::uint8_t {
  kFolder = 1,
  kFile = 2,
  kSymlink = 3,
  kHardLink = 4,  // another name of a file that stands earlier in the tree
};

struct Entry {
  TreeName name;
  EntryType type = EntryType::kFile;
  std::uint32_t mode = 0;  // folder, file: within kModeMask
  WallTime mtime;          // folder, file
  std::uint64_t size = 0;  // file
  std::string target;      // symbolic link: as stored; hard link: the earlier file's name
  bool operator==(const Entry&) const = default;
};

}  // namespace longhaul::store
