// Token shards: flat files of token ids. Read: llm.c's two layouts (header of 256 int32: magic
// 20240520 with uint16 ids, magic 20240801 with uint32 ids), and files that are ids and nothing
// else (nanoGPT's train.bin, *.u16: uint16; *.u32: uint32). Written: llm.c's. Files are read by
// pread, never mapped: one that shrinks under us is an error, not a SIGBUS.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "trainer/posix_file.hpp"

namespace longhaul::trainer {

using Token = std::uint32_t;

inline constexpr std::uint64_t kShardHeaderBytes = 1024;
inline constexpr std::uint32_t kShardMagic16 = 20240520;
inline constexpr std::uint32_t kShardMagic32 = 20240801;

struct ShardLayout {
  std::uint64_t header_bytes = 0;
  std::uint32_t token_bytes = 2;  // 2 or 4
  std::uint64_t tokens = 0;
  bool operator==(const ShardLayout&) const = default;
};
// From a file's first bytes (up to kShardHeaderBytes), its size and its name. kMalformed for an
// empty shard, a header that promises more than there is, or half a token at the end. Pure.
Result<ShardLayout> shard_layout(Bytes first, std::uint64_t file_bytes, const Path& name);

class ShardReader {
 public:
  static Result<ShardReader> open(const Path& path);
  const Path& path() const { return file_.path(); }
  const ShardLayout& layout() const { return layout_; }
  const File& file() const { return file_; }
  // Ids [first, first + out.size()), widened. kChanged if the file has become shorter.
  Result<> read(std::uint64_t first, std::span<Token> out) const;

 private:
  ShardReader(File file, ShardLayout layout) : file_(std::move(file)), layout_(layout) {}
  File file_;
  ShardLayout layout_;
  mutable std::vector<std::byte> scratch_;
};

// Ids into memory of both widths: shared by readers that do their own I/O.
void widen(Bytes packed, std::uint32_t token_bytes, std::span<Token> out);

class ShardWriter {
 public:
  // The shard stands under `path` only after finish(). vocab decides the width.
  static Result<ShardWriter> create(const Path& path, std::uint64_t vocab);
  Result<> append(std::span<const Token> tokens);  // kUsage for an id that does not fit the width
  Result<> finish();
  std::uint64_t tokens() const { return tokens_; }

 private:
  ShardWriter(Path path, File file, std::uint32_t token_bytes)
      : path_(std::move(path)), file_(std::move(file)), token_bytes_(token_bytes) {}
  Path path_;
  File file_;
  std::uint32_t token_bytes_;
  std::uint64_t tokens_ = 0;
};

}  // namespace longhaul::trainer
