#include "trainer/folder_source.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <system_error>

#include "lib/base/escape.hpp"
#include "trainer/checksum.hpp"

namespace longhaul::trainer {
namespace {

constexpr std::array<std::string_view, 5> kEndings = {".bin", ".u16", ".u32", ".uint16", ".uint32"};

constexpr std::uint64_t kPieceLeast = 4U << 10, kPieceMost = 64U << 10;

// Of kWholeBytes, for each of so many shards: at least its beginning, with the header, and its end.
std::uint64_t share(std::size_t shards) {
  return std::max(2 * kPieceLeast, kWholeBytes / shards);
}

// Pieces of the file, `wanted` bytes in all and evenly apart, the first and the last byte among
// them.
Result<> add_pieces(const File& file, std::uint64_t bytes, std::uint64_t wanted, Checksum& sum) {
  const std::uint64_t piece = std::clamp(wanted / 2, kPieceLeast, kPieceMost);
  const bool all = wanted >= bytes;
  const std::uint64_t pieces = all ? (bytes + piece - 1) / piece : wanted / piece;
  const std::uint64_t last = bytes - std::min(bytes, piece);
  const std::uint64_t apart = all ? piece : last / (pieces - 1);  // not all: two or more
  ByteVector read;
  for (std::uint64_t i = 0; i < pieces; ++i) {
    const std::uint64_t at = !all && i + 1 == pieces ? last : i * apart;
    read.resize(std::min(piece, bytes - at));
    TRY(file.read_at(at, read));
    sum.add(read);
  }
  return {};
}

}  // namespace

bool is_shard_name(const Path& name) {
  return std::count(kEndings.begin(), kEndings.end(), name.extension().native()) > 0;
}

Result<std::unique_ptr<FolderSource>> FolderSource::open(const Path& path) {
  std::vector<Path> files;
  std::error_code error;
  if (std::filesystem::is_directory(path, error)) {
    std::filesystem::directory_iterator walk(path, error), end;
    for (; !error && walk != end; walk.increment(error))
      if (is_shard_name(walk->path())) files.push_back(walk->path());
    if (error) return fail_errno("list " + printable(path.native()), error.value());
    std::sort(files.begin(), files.end());
  } else {
    files.push_back(path);
  }
  const std::string attempt = "find token shards in " + printable(path.native());
  if (files.empty())
    return fail(Error(Kind::kNotFound, attempt, "no *.bin, *.u16 or *.u32 file there")
                    .advise("make them with `longhaul-train tokenize`"));
  if (files.size() > kMaxShards) return fail(Kind::kLimit, attempt, "too many shards");
  auto source = std::make_unique<FolderSource>();
  for (const Path& file : files) {
    source->readers_.push_back(TRY(ShardReader::open(file)));
    const ShardLayout& layout = source->readers_.back().layout();
    source->infos_.push_back({file.filename().native(), layout.tokens, layout.token_bytes});
  }
  return source;
}

std::string FolderSource::identity() const {
  Checksum sum;
  for (const ShardInfo& info : infos_)
    sum.add(bytes_of(fmt::format("{}:{}:{};", info.name, info.tokens, info.token_bytes)));
  return fmt::format("folder:{}:{:016x}", infos_.size(), sum.value());
}

Result<std::string> FolderSource::content() const {
  std::uint64_t total = 0;
  for (const ShardReader& reader : readers_) total += TRY(reader.file().size());
  Checksum sum;
  for (const ShardReader& reader : readers_) {
    const std::uint64_t bytes = TRY(reader.file().size());
    sum.add(bytes_of(fmt::format("{};", bytes)));
    TRY(add_pieces(reader.file(), bytes, total <= kWholeBytes ? bytes : share(readers_.size()),
                   sum));
  }
  return fmt::format("{}:{:016x}", total <= kWholeBytes ? "all" : "pieces", sum.value());
}

Result<Presence> FolderSource::read(const TokenRange& range, std::span<Token> out) {
  ASSERT(range.shard < readers_.size() && out.size() == range.count);
  TRY(readers_[range.shard].read(range.first, out));
  return Presence::kThere;
}

}  // namespace longhaul::trainer
