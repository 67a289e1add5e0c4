#include "trainer/client/feed_source.hpp"

#include <poll.h>

#include <algorithm>
#include <array>
#include <chrono>

#include "lib/base/escape.hpp"
#include "trainer/folder_source.hpp"
#include "trainer/wait_notice.hpp"

namespace longhaul::trainer {
namespace {

constexpr Duration kLook = 50ms;
constexpr std::size_t kWhy = 600;

Time time_now() {
  return Time(std::chrono::steady_clock::now().time_since_epoch());
}
tl::unexpected<Error> broken(const char* why) {
  return fail(Kind::kIo, "read the dataset", why);
}

}  // namespace

Result<std::unique_ptr<DataSource>> FeedSource::open(const FeedOpening& opening) {
  const std::string root = opening.store.native();
  longhaul_feed_options options{};
  options.size = sizeof options;
  options.root = root.c_str();
  options.dataset = opening.dataset.c_str();
  options.identity = opening.identity.empty() ? nullptr : opening.identity.c_str();
  options.cache_bytes = opening.cache_bytes;
  char why[kWhy] = "";
  longhaul_feed* feed = longhaul_feed_open(&options, why, sizeof why);
  if (feed == nullptr) return fail(Kind::kUsage, "open the dataset", why);
  std::unique_ptr<FeedSource> source(new FeedSource(feed));
  TRY(source->wait(opening, [&](char* text) { return longhaul_feed_ready(feed, text, kWhy); }));
  TRY(source->open_shards(opening));
  return std::unique_ptr<DataSource>(std::move(source));
}

// Until `call` says that it is here.
template <class Call>
Result<> FeedSource::wait(const FeedOpening& opening, Call&& call) {
  WaitNotice notice(time_now());
  bool said = false;
  for (;;) {
    char why[kWhy] = "";
    const int found = call(why);
    if (found == LONGHAUL_HERE) return {};
    if (found == LONGHAUL_BROKEN) return broken(why);
    const std::string lacks = longhaul_feed_waiting_for(feed_);
    // At once what it begins with: there may be no site yet.
    if (!std::exchange(said, true)) {
      opening.say("waits for " + lacks);
      if (opening.meanwhile) TRY(opening.meanwhile());
      continue;
    }
    if (const auto text = notice.due(time_now(), lacks)) opening.say(*text);
    if (opening.stop_asked()) return fail(Kind::kInterrupted, "wait for the dataset");
    wait_for_arrival(kLook);
  }
}

Result<> FeedSource::open_shards(const FeedOpening& opening) {
  for (std::size_t file = 0; file < longhaul_feed_files(feed_); ++file) {
    const Path name = longhaul_feed_name(feed_, file);
    if (!is_shard_name(name)) continue;
    const std::uint64_t bytes = longhaul_feed_bytes(feed_, file);
    ShardLayout layout;
    if (infos_.empty()) {
      std::array<std::byte, kShardHeaderBytes> first{};
      const auto head = MutableBytes(first).first(std::min<std::uint64_t>(bytes, first.size()));
      const longhaul_range needed{file, 0, head.size()};
      longhaul_feed_need(feed_, &needed, 1, 1);
      TRY(wait(opening, [&](char* why) {
        return longhaul_feed_read(feed_, file, 0, head.data(), head.size(), why, kWhy);
      }));
      layout = TRY(shard_layout(head, bytes, name));
    } else {
      layout = places_.front().layout;
      layout.tokens =
          bytes < layout.header_bytes ? 0 : (bytes - layout.header_bytes) / layout.token_bytes;
    }
    infos_.push_back({name.native(), layout.tokens, layout.token_bytes});
    places_.push_back({file, layout});
    if (infos_.size() > kMaxShards)
      return fail(Kind::kLimit, "open the dataset", "too many shards");
  }
  if (!infos_.empty()) return {};
  return fail(Error(Kind::kNotFound, "find token shards in " + printable(opening.dataset, 200),
                    "no *.bin, *.u16 or *.u32 file there")
                  .advise("make them with `longhaul-train tokenize` before the push"));
}

Result<Presence> FeedSource::look_at(std::size_t shard) {
  Place& place = places_[shard];
  const std::uint64_t bytes = longhaul_feed_bytes(feed_, place.file);
  std::array<std::byte, kShardHeaderBytes> first{};
  const auto head = MutableBytes(first).first(std::min<std::uint64_t>(bytes, first.size()));
  char why[kWhy] = "";
  const int found =
      longhaul_feed_read(feed_, place.file, 0, head.data(), head.size(), why, sizeof why);
  if (found == LONGHAUL_BROKEN) return broken(why);
  if (found == LONGHAUL_NOT_YET) return Presence::kNotYet;
  const ShardLayout layout = TRY(shard_layout(head, bytes, infos_[shard].name));
  if (layout != place.layout)
    return fail(Error(Kind::kMalformed, "read the shard " + printable(infos_[shard].name, 200),
                      "it is not full, or of another kind than the first")
                    .advise("pull or copy the dataset and train with --data"));
  place.seen = true;
  return Presence::kThere;
}

Result<Presence> FeedSource::fetch(const TokenRange& range) {
  ASSERT(range.shard < places_.size());
  const Place& place = places_[range.shard];
  if (!place.seen && TRY(look_at(range.shard)) == Presence::kNotYet) return Presence::kNotYet;
  scratch_.resize(range.count * place.layout.token_bytes);
  char why[kWhy] = "";
  const std::uint64_t offset = place.layout.header_bytes + range.first * place.layout.token_bytes;
  const int found = longhaul_feed_read(feed_, place.file, offset, scratch_.data(), scratch_.size(),
                                       why, sizeof why);
  if (found == LONGHAUL_BROKEN) return broken(why);
  return found == LONGHAUL_NOT_YET ? Presence::kNotYet : Presence::kThere;
}

Result<Presence> FeedSource::read(const TokenRange& range, std::span<Token> out) {
  ASSERT(out.size() == range.count);
  const Presence presence = TRY(fetch(range));
  if (presence == Presence::kThere) widen(scratch_, places_[range.shard].layout.token_bytes, out);
  return presence;
}

Result<Presence> FeedSource::here(const TokenRange& range) {
  return fetch(range);
}

void FeedSource::will_need(std::span<const TokenRange> ranges, std::size_t urgent) {
  std::vector<longhaul_range> needed;
  std::size_t urgent_needed = 0;
  for (std::size_t i = 0; i < ranges.size(); ++i) {
    const Place& place = places_[ranges[i].shard];
    const std::uint64_t width = place.layout.token_bytes;
    // A shard's header comes first: nothing of it is handed out before.
    if (!place.seen) needed.push_back({place.file, 0, kShardHeaderBytes});
    needed.push_back(
        {place.file, place.layout.header_bytes + ranges[i].first * width, ranges[i].count * width});
    if (i < urgent) urgent_needed = needed.size();
  }
  longhaul_feed_need(feed_, needed.data(), needed.size(), urgent_needed);
}

void FeedSource::wait_for_arrival(Duration most) {
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(std::min(most, kLook));
  ::poll(nullptr, 0, static_cast<int>(ms.count()));
}

}  // namespace longhaul::trainer
