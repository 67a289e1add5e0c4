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

Result<Presence> FolderSource::read(const TokenRange& range, std::span<Token> out) {
  ASSERT(range.shard < readers_.size() && out.size() == range.count);
  TRY(readers_[range.shard].read(range.first, out));
  return Presence::kThere;
}

}  // namespace longhaul::trainer
