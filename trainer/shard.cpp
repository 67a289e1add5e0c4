#include "trainer/shard.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <limits>

#include "lib/base/escape.hpp"

namespace longhaul::trainer {
namespace {

constexpr std::uint32_t kVersion16 = 1, kVersion32 = 7;  // llm.c's for its two magics
constexpr std::uint64_t kMaxHeaderTokens = std::numeric_limits<std::int32_t>::max();
constexpr std::uint64_t kUint16Ids = 1U << 16;

ByteVector header_of(std::uint32_t token_bytes, std::uint64_t tokens) {
  ByteVector header(kShardHeaderBytes);
  const MutableBytes out(header);
  store_le(out, token_bytes == 2 ? kShardMagic16 : kShardMagic32);
  store_le(out.subspan(4), token_bytes == 2 ? kVersion16 : kVersion32);
  store_le(out.subspan(8), static_cast<std::uint32_t>(tokens));
  return header;
}

}  // namespace

Result<ShardLayout> shard_layout(Bytes first, std::uint64_t file_bytes, const Path& name) {
  const auto bad = [&](std::string why, Kind kind = Kind::kMalformed) {
    return fail(Error(kind, "read the shard " + printable(name.native()), std::move(why))
                    .advise("copy the file again, or make it with `longhaul-train tokenize`"));
  };
  ShardLayout layout;
  const std::uint32_t magic = first.size() >= 4 ? load_le<std::uint32_t>(first) : 0;
  if (magic == kShardMagic16 || magic == kShardMagic32) {
    if (first.size() < kShardHeaderBytes || file_bytes < kShardHeaderBytes)
      return bad("its header is cut short");
    layout.header_bytes = kShardHeaderBytes;
    layout.token_bytes = magic == kShardMagic16 ? 2 : 4;
    const auto version = load_le<std::uint32_t>(first.subspan(4));
    if (version != (magic == kShardMagic16 ? kVersion16 : kVersion32))
      return bad(fmt::format("version {} of the layout", version), Kind::kUnsupported);
    layout.tokens = load_le<std::uint32_t>(first.subspan(8));
    const std::uint64_t held = (file_bytes - kShardHeaderBytes) / layout.token_bytes;
    if (layout.tokens > held)
      return bad(fmt::format("its header promises {} tokens, it holds {}", layout.tokens, held));
  } else {
    const std::string ending = name.extension().native();
    layout.token_bytes = ending == ".u32" || ending == ".uint32" ? 4 : 2;
    if (file_bytes % layout.token_bytes != 0) return bad("it ends in part of a token");
    layout.tokens = file_bytes / layout.token_bytes;
  }
  if (layout.tokens == 0) return bad("it holds no token");
  return layout;
}

Result<ShardReader> ShardReader::open(const Path& path) {
  File file = TRY(File::open_to_read(path));
  const std::uint64_t bytes = TRY(file.size());
  std::array<std::byte, kShardHeaderBytes> first{};
  const MutableBytes head =
      MutableBytes(first).first(std::min<std::uint64_t>(bytes, kShardHeaderBytes));
  TRY(file.read_at(0, head));
  const ShardLayout layout = TRY(shard_layout(head, bytes, path));
  return ShardReader(std::move(file), layout);
}

void widen(Bytes packed, std::uint32_t token_bytes, std::span<Token> out) {
  ASSERT(packed.size() == out.size() * token_bytes);
  for (std::size_t i = 0; i < out.size(); ++i)
    out[i] = token_bytes == 2 ? load_le<std::uint16_t>(packed.subspan(i * 2))
                              : load_le<std::uint32_t>(packed.subspan(i * 4));
}

Result<> ShardReader::read(std::uint64_t first, std::span<Token> out) const {
  ASSERT(first <= layout_.tokens && out.size() <= layout_.tokens - first);
  scratch_.resize(out.size() * layout_.token_bytes);
  TRY(file_.read_at(layout_.header_bytes + first * layout_.token_bytes, scratch_));
  widen(scratch_, layout_.token_bytes, out);
  return {};
}

Result<ShardWriter> ShardWriter::create(const Path& path, std::uint64_t vocab) {
  Path beside = path;
  beside += ".partial";
  File file = TRY(File::create(beside));
  const std::uint32_t token_bytes = vocab <= kUint16Ids ? 2 : 4;
  TRY(file.write(header_of(token_bytes, 0)));
  return ShardWriter(path, std::move(file), token_bytes);
}

Result<> ShardWriter::append(std::span<const Token> tokens) {
  if (tokens.size() > kMaxHeaderTokens - tokens_)
    return fail(Kind::kLimit, "write the shard " + printable(path_.native()),
                "its header counts to 2^31 - 1 tokens");
  ByteVector packed(tokens.size() * token_bytes_);
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    const MutableBytes at = MutableBytes(packed).subspan(i * token_bytes_);
    if (token_bytes_ == 4) {
      store_le(at, tokens[i]);
    } else if (tokens[i] < kUint16Ids) {
      store_le(at, static_cast<std::uint16_t>(tokens[i]));
    } else {
      return fail(Kind::kUsage, "write the shard " + printable(path_.native()),
                  fmt::format("id {} does not fit 16 bits", tokens[i]));
    }
  }
  TRY(file_.write(packed));
  tokens_ += tokens.size();
  return {};
}

Result<> ShardWriter::finish() {
  TRY(file_.write_at(0, header_of(token_bytes_, tokens_)));
  TRY(file_.sync());
  TRY(move_file(file_.path(), path_));
  return sync_folder(path_.has_parent_path() ? path_.parent_path() : Path("."));
}

}  // namespace longhaul::trainer
