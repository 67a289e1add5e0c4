#include <algorithm>
#include <cstring>

#include "lib/client/feed.hpp"
#include "lib/client/longhaul.h"

// What C holds is a Feed, by another name; nothing that throws gets out of here.
namespace {

using longhaul::Result;
using longhaul::client::Feed;

Feed* feed_of(longhaul_feed* feed) {
  return reinterpret_cast<Feed*>(feed);
}
const Feed* feed_of(const longhaul_feed* feed) {
  return reinterpret_cast<const Feed*>(feed);
}

void say(char* to, std::size_t size, const std::string& text) {
  if (to == nullptr || size == 0) return;
  const std::size_t length = std::min(size - 1, text.size());
  std::memcpy(to, text.data(), length);
  to[length] = '\0';
}

template <class Call>  // a Result<Presence>
int presence_of(Call&& call, char* error, std::size_t error_size) noexcept {
  try {
    const Result<Feed::Presence> done = call();
    if (done) return *done == Feed::Presence::kHere ? LONGHAUL_HERE : LONGHAUL_NOT_YET;
    say(error, error_size, done.error().message());
  } catch (...) {
    if (error != nullptr && error_size > 0) error[0] = '\0';  // no memory
  }
  return LONGHAUL_BROKEN;
}

}  // namespace

longhaul_feed* longhaul_feed_open(const longhaul_feed_options* options, char* error,
                                  size_t error_size) {
  try {
    if (options == nullptr || options->size < sizeof(longhaul_feed_options) ||
        options->root == nullptr || options->dataset == nullptr) {
      say(error, error_size, "open a feed: options are not whole");
      return nullptr;
    }
    longhaul::client::FeedOptions mine;
    mine.root = options->root;
    mine.dataset = options->dataset;
    if (options->identity != nullptr) mine.identity = options->identity;
    if (options->cache_bytes > 0) mine.cache_bytes = options->cache_bytes;
    auto feed = Feed::open(mine);
    if (feed) return reinterpret_cast<longhaul_feed*>(feed->release());
    say(error, error_size, feed.error().message());
  } catch (...) {
    if (error != nullptr && error_size > 0) error[0] = '\0';
  }
  return nullptr;
}

int longhaul_feed_ready(longhaul_feed* feed, char* error, size_t error_size) {
  return presence_of([&] { return feed_of(feed)->ready(); }, error, error_size);
}

const char* longhaul_feed_identity(const longhaul_feed* feed) {
  return feed_of(feed)->identity().c_str();
}

size_t longhaul_feed_files(const longhaul_feed* feed) {
  return feed_of(feed)->files().size();
}

const char* longhaul_feed_name(const longhaul_feed* feed, size_t file) {
  const auto& files = feed_of(feed)->files();
  return file < files.size() ? files[file].name.c_str() : "";
}

uint64_t longhaul_feed_bytes(const longhaul_feed* feed, size_t file) {
  const auto& files = feed_of(feed)->files();
  return file < files.size() ? files[file].bytes : 0;
}

int longhaul_feed_read(longhaul_feed* feed, size_t file, uint64_t offset, void* out, size_t size,
                       char* error, size_t error_size) {
  const longhaul::MutableBytes bytes(static_cast<std::byte*>(out), size);
  return presence_of([&] { return feed_of(feed)->read(file, offset, bytes); }, error, error_size);
}

void longhaul_feed_need(longhaul_feed* feed, const longhaul_range* ranges, size_t count,
                        size_t urgent) {
  try {
    std::vector<Feed::Range> mine;
    for (size_t i = 0; i < count; ++i)
      mine.push_back({ranges[i].file, ranges[i].offset, ranges[i].bytes});
    feed_of(feed)->need(mine, urgent);
  } catch (...) {  // no memory: it comes in the push's order
  }
}

const char* longhaul_feed_waiting_for(const longhaul_feed* feed) {
  return feed_of(feed)->waiting_for().c_str();
}

void longhaul_feed_close(longhaul_feed* feed) {
  delete feed_of(feed);
}
