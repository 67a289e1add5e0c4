// FeedSource: token shards of a dataset at a site, through longhaul.h, from the moment its push has
// named everything; what has not arrived is kNotYet. Its shards are the files named *.bin, *.u16 ..
#pragma once

#include "lib/client/longhaul.h"
#include "trainer/data_source.hpp"

namespace longhaul::trainer {

class FeedSource final : public DataSource {
 public:
  // Waits until the dataset is known and the beginning of its first shard is here, and says for
  // what; kInterrupted when it is asked to stop. The other shards are taken to be of the first
  // one's kind and full; each is looked at before anything of it is handed out, and kMalformed if
  // not.
  static Result<std::unique_ptr<DataSource>> open(const FeedOpening& opening);
  ~FeedSource() override { longhaul_feed_close(feed_); }
  const std::vector<ShardInfo>& shards() const override { return infos_; }
  std::string identity() const override { return longhaul_feed_identity(feed_); }
  Result<Presence> read(const TokenRange& range, std::span<Token> out) override;
  Result<Presence> here(const TokenRange& range) override;
  void will_need(std::span<const TokenRange> ranges, std::size_t urgent) override;
  void wait_for_arrival(Duration most) override;
  std::string waiting_for(const TokenRange&) const override {
    return longhaul_feed_waiting_for(feed_);
  }

 private:
  struct Place {
    std::size_t file;
    ShardLayout layout;
    bool seen = false;  // its beginning is here, and says so
  };
  explicit FeedSource(longhaul_feed* feed) : feed_(feed) {}
  template <class Call>
  Result<> wait(const FeedOpening& opening, Call&& call);
  Result<> open_shards(const FeedOpening& opening);
  Result<Presence> look_at(std::size_t shard);
  Result<Presence> fetch(const TokenRange& range);  // into scratch_

  longhaul_feed* feed_;
  std::vector<ShardInfo> infos_;
  std::vector<Place> places_;  // of each shard
  std::vector<std::byte> scratch_;
};

}  // namespace longhaul::trainer
