// FolderSource: a plain folder of token shards, or one shard. No streamer, no network.
#pragma once

#include <memory>

#include "trainer/data_source.hpp"

namespace longhaul::trainer {

inline constexpr std::size_t kMaxShards = 1U << 16;
inline constexpr std::uint64_t kWholeBytes = 64U << 20;  // read in a moment, once a start

bool is_shard_name(const Path& name);  // by its ending

class FolderSource final : public DataSource {
 public:
  // `path`: a shard, or a folder whose *.bin, *.u16, *.u32 files are taken in the order of their
  // names. kNotFound if there is none.
  static Result<std::unique_ptr<FolderSource>> open(const Path& path);
  const std::vector<ShardInfo>& shards() const override { return infos_; }
  std::string identity() const override;
  // A checksum of all bytes, up to kWholeBytes of them; of more, of each shard's beginning, its end
  // and pieces between, at places that follow from the sizes: other text of the same size is
  // another, one token changed between the pieces is not noticed.
  Result<std::string> content() const override;
  Result<Presence> read(const TokenRange& range, std::span<Token> out) override;

 private:
  std::vector<ShardReader> readers_;
  std::vector<ShardInfo> infos_;
};

}  // namespace longhaul::trainer
