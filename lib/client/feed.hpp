// Feed: the files of a dataset at a site, as longhaul.h shows them to a loader's thread, from the
// moment the whole manifest of a push is there: what has not arrived is said to be missing, never
// read as zeros. Invariant: a byte is handed out only from a chunk that this process read whole and
// whose SHA-256 is the one the manifest names, wherever it was read from; what was checked is kept
// in memory, not checked again on a disk that may have changed. So it needs no trust in the order
// in which another host's writes become visible.
//
// It looks in the version if there is one, else in the staging, else in the version before (what
// did not change is not sent). It follows the push into its version, and tells the streamer what it
// will read next. All it knows of the place is a Site (lib/gateway): files below a ROOT, or a
// gateway to one. Not thread-safe; blocks on the disk or the gateway.
#pragma once

#include <list>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "lib/gateway/site.hpp"
#include "lib/store/incoming.hpp"

namespace longhaul::client {

struct FeedOptions {
  std::string root;        // a streamer's ROOT, or "gateway:PASS" with the file that holds a pass
  std::string dataset;     // NAME: the newest version, or if there is none what is on its way;
                           // NAME@v000002; NAME@incoming
  std::string identity{};  // not empty: of what was read before; nothing else will do
  std::size_t cache_bytes = 64U << 20;
};

class Feed {
 public:
  static Result<std::unique_ptr<Feed>> open(const FeedOptions& options);

  enum class Presence : std::uint8_t { kHere, kNotYet };
  // kHere once it is known what the dataset is; from then on it is that one.
  Result<Presence> ready();
  // "NAME sha256:ROOT", the same on its way and as a version.
  const std::string& identity() const { return identity_; }
  struct File {
    std::string name;  // from the dataset's root
    std::uint64_t bytes = 0;
  };
  const std::vector<File>& files() const { return files_; }  // in the manifest's order

  // Fills `out` or leaves it alone. kChanged: the dataset became another on its way; kIntegrity: a
  // version's bytes rotted.
  Result<Presence> read(std::size_t file, std::uint64_t offset, MutableBytes out);
  // What will be read, soonest first, the first `urgent` of it before anything can go on: the
  // streamer has that sent first. Replaces what was said before. Of ranges that are no part of a
  // file, that part which is.
  struct Range {
    std::size_t file = 0;
    std::uint64_t offset = 0, bytes = 0;
  };
  void need(std::span<const Range> ranges, std::size_t urgent);
  // What the last kNotYet of read() or ready() lacked, for people.
  const std::string& waiting_for() const { return waiting_for_; }

 private:
  struct Chunk {
    std::uint64_t offset = 0;
    std::uint32_t length = 0;
    store::ChunkId id;
  };
  struct Cached {
    std::size_t file;
    std::uint64_t offset;
    ByteVector bytes;
  };
  enum class Which : std::uint8_t { kNewest, kVersion, kIncoming };

  Feed(const FeedOptions& options, store::DatasetName dataset, std::unique_ptr<gateway::Site> site)
      : options_(options), dataset_(std::move(dataset)), site_(std::move(site)) {}
  Result<Presence> find();
  Result<std::optional<store::Tree>> manifest(const store::TreeName& name);
  Result<Presence> take(const store::Tree& tree);
  Result<> look_for_version();
  std::vector<Chunk>::const_iterator chunk_at(std::size_t file, std::uint64_t offset) const;
  Result<const ByteVector*> checked(std::size_t file, const Chunk& chunk);
  Result<Presence> read_checked(const store::TreeName& name, const Chunk& chunk, ByteVector& out);
  Result<Presence> read_all(std::size_t file, std::uint64_t offset, MutableBytes out);
  Result<Presence> or_not_yet(Result<Presence> found);

  const FeedOptions options_;
  const store::DatasetName dataset_;
  const std::unique_ptr<gateway::Site> site_;
  Which which_ = Which::kNewest;
  store::VersionNo version_;  // of kVersion
  std::string identity_, waiting_for_;
  crypto::Digest root_;
  std::optional<store::TreeName> published_;  // the version's folder, once there is one
  std::optional<store::TreeName> before_;     // the newest version's, while ours is on its way
  std::optional<store::VersionNo> judged_;    // the newest version, which is not ours
  std::vector<File> files_;
  std::vector<std::vector<Chunk>> chunks_;  // of each file; a hole is none

  gateway::Mark manifest_seen_{};  // of what is coming

  std::list<Cached> cache_;  // checked, newest first
  std::map<std::pair<std::size_t, std::uint64_t>, std::list<Cached>::iterator> places_;
  std::size_t cached_bytes_ = 0;
};

}  // namespace longhaul::client
