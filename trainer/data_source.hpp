// DataSource: where a trainer's tokens lie and which of them may be read now. A port: a plain
// folder (folder_source.hpp) has everything; a dataset still on its way has what has arrived and
// been verified. Its owner is the loader thread; the training thread never calls it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "lib/base/result.hpp"
#include "lib/base/units.hpp"
#include "trainer/shard.hpp"

namespace longhaul::trainer {

struct ShardInfo {
  std::string name;  // as the dataset names it
  std::uint64_t tokens = 0;
  std::uint32_t token_bytes = 2;
};
struct TokenRange {
  std::uint32_t shard = 0;
  std::uint64_t first = 0;  // tokens from the shard's first
  std::uint64_t count = 0;
  bool operator==(const TokenRange&) const = default;
};
enum class Presence : std::uint8_t { kThere, kNotYet };

class DataSource {
 public:
  virtual ~DataSource() = default;
  // Fixed for a run, also while bytes are still arriving.
  virtual const std::vector<ShardInfo>& shards() const = 0;
  // Names it in checkpoints: version and digest of the dataset, or names and sizes of a folder's
  // shards. A resume refuses another.
  virtual std::string identity() const = 0;
  // Of the bytes themselves, where identity() does not pin them; empty: it does. Reads them.
  virtual Result<std::string> content() const { return std::string(); }
  // Fills out (range.count ids) only if every byte of the range has arrived and its hash matched;
  // else kNotYet with `out` untouched.
  virtual Result<Presence> read(const TokenRange& range, std::span<Token> out) = 0;
  // Whether read() would give all of the range now.
  virtual Result<Presence> here(const TokenRange&) { return Presence::kThere; }
  // What will be read next, soonest first, the first `urgent` of it before anything can go on; a
  // hint that replaces the last one.
  virtual void will_need(std::span<const TokenRange>, std::size_t /*urgent*/) {}
  // After kNotYet: blocks until something has arrived or the time is up.
  virtual void wait_for_arrival(Duration) {}
  // What is being waited for, for people: "chunk 3f2a.. of shard_000002.bin".
  virtual std::string waiting_for(const TokenRange& range) const {
    return shards()[range.shard].name;
  }
};

// A dataset at a site, by the means of a build that has them (trainer/client).
struct FeedOpening {
  Path store;            // a streamer's ROOT
  std::string dataset;   // NAME[@v000001|@incoming]
  std::string identity;  // not empty: what a resumed run read
  std::uint64_t cache_bytes = 64U << 20;
  std::function<void(const std::string&)> say;  // one line for people
  std::function<bool()> stop_asked;
  std::function<Result<>()> meanwhile;  // called whenever it begins to wait
};
using OpenFeed = std::function<Result<std::unique_ptr<DataSource>>(const FeedOpening&)>;

}  // namespace longhaul::trainer
