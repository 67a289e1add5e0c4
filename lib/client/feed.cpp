#include "lib/client/feed.hpp"

#include <algorithm>
#include <cstring>
#include <unordered_set>

#include "lib/base/escape.hpp"
#include "lib/gateway/remote_site.hpp"
#include "lib/gateway/site_files.hpp"
#include "lib/store/manifest_file.hpp"

namespace longhaul::client {
namespace {

using store::TreeName;
using store::VersionNo;

constexpr std::string_view kIncoming = "incoming";

constexpr std::string_view kGateway = "gateway:";

Result<std::unique_ptr<gateway::Site>> open_site(const std::string& root) {
  if (!root.starts_with(kGateway)) return TRY(gateway::SiteFiles::open(root));
  return TRY(gateway::RemoteSite::open(root.substr(kGateway.size())));
}

std::string identity_of(const store::DatasetName& dataset, const crypto::Digest& root) {
  return dataset.text() + " sha256:" + root.hex();
}

}  // namespace

Result<std::unique_ptr<Feed>> Feed::open(const FeedOptions& options) {
  const std::size_t at = options.dataset.find('@');
  auto dataset = TRY(store::DatasetName::parse(options.dataset.substr(0, at)));
  std::optional<VersionNo> version;
  Which what = Which::kNewest;
  if (at != std::string::npos) {
    const std::string which = options.dataset.substr(at + 1);
    version = store::parse_version(which);
    if (!version && which != kIncoming)
      return fail(Kind::kUsage, "read the dataset " + printable(options.dataset, 200),
                  "behind the @ stands a version, v000001, or the word incoming");
    what = version ? Which::kVersion : Which::kIncoming;
  }
  auto site = TRY(open_site(options.root));
  std::unique_ptr<Feed> feed(new Feed(options, std::move(dataset), std::move(site)));
  feed->which_ = what;
  if (version) feed->version_ = *version;
  return feed;
}

// Nothing if there is none.
Result<std::optional<store::Tree>> Feed::manifest(const TreeName& name) {
  const auto bytes = TRY(gateway::read_whole(*site_, name, store::kTreeBytesMax + 4096));
  if (!bytes) return std::optional<store::Tree>();
  return TRY(store::parse_manifest(*bytes, name.shown()));
}

// A gateway that does not answer will: its streamer is begun anew, or its host is.
Result<Feed::Presence> Feed::or_not_yet(Result<Presence> found) {
  if (found || found.error().kind() != Kind::kTimeout) return found;
  waiting_for_ = "an answer " + site_->where() + ": " + found.error().why();
  return Presence::kNotYet;
}

Result<Feed::Presence> Feed::ready() {
  return or_not_yet(find());
}

Result<Feed::Presence> Feed::find() {
  if (!identity_.empty()) return Presence::kHere;
  const auto try_version = [this](VersionNo version) -> Result<Presence> {
    const auto tree = TRY(manifest(store::Root::manifest_of(dataset_, version)));
    if (!tree) return Presence::kNotYet;
    const Presence taken = TRY(take(*tree));
    if (taken == Presence::kHere) published_ = store::Root::folder_of(dataset_, version);
    return taken;
  };
  const auto newest = TRY(site_->current(dataset_));
  if (which_ == Which::kVersion) {
    if (TRY(try_version(version_)) == Presence::kHere) return Presence::kHere;
    return fail(
        Kind::kNotFound, "read " + printable(options_.dataset, 200),
        options_.identity.empty() ? "there is no such version" : "it is not what was read before");
  }
  if (!options_.identity.empty()) {  // it may be any version by now
    for (std::uint32_t number = newest ? newest->value() : 0; number > 0; --number)
      if (TRY(try_version(VersionNo(number))) == Presence::kHere) return Presence::kHere;
  } else if (which_ == Which::kNewest && newest) {
    return TRY(try_version(*newest));
  }
  // What is put in its place while it is read has another mark.
  const auto seen = TRY(site_->look(store::incoming_manifest(dataset_)));
  const auto coming = TRY(manifest(store::incoming_manifest(dataset_)));
  waiting_for_ = "the manifest of " + dataset_.text();
  if (!coming) {
    site_->want(dataset_, {});
    return Presence::kNotYet;
  }
  if (newest) before_ = store::Root::folder_of(dataset_, *newest);
  const Presence taken = TRY(take(*coming));
  if (seen && taken == Presence::kHere) manifest_seen_ = seen->mark;
  return taken;
}

// From here on the dataset is this tree, if it may be.
Result<Feed::Presence> Feed::take(const store::Tree& tree) {
  const std::string identity = identity_of(dataset_, tree.root());
  if (!options_.identity.empty() && options_.identity != identity) return Presence::kNotYet;
  root_ = tree.root();
  for (store::TreeWalk walk(tree); walk.next();) {
    if (walk.entry().type != store::EntryType::kFile) continue;
    std::vector<Chunk> chunks;
    std::uint64_t offset = 0;
    for (const store::Piece& piece : walk.pieces()) {
      if (!piece.hole)
        chunks.push_back({offset, static_cast<std::uint32_t>(piece.length), piece.chunk});
      offset += piece.length;
    }
    files_.push_back({walk.entry().name.text(), walk.entry().size});
    chunks_.push_back(std::move(chunks));
  }
  identity_ = identity;
  return Presence::kHere;
}

// Where the push has got to: a version of its own, or another push in its place.
Result<> Feed::look_for_version() {
  if (const auto newest = TRY(site_->current(dataset_)); newest && newest != judged_) {
    const auto tree = TRY(manifest(store::Root::manifest_of(dataset_, *newest)));
    if (tree && tree->root() == root_) published_ = store::Root::folder_of(dataset_, *newest);
    if (tree) judged_ = newest;  // a version never becomes another
  }
  if (published_) {
    site_->want_nothing(dataset_);
    return {};
  }
  // A manifest may be hundreds of megabytes: who waits does not read it each time it looks.
  const auto seen = TRY(site_->look(store::incoming_manifest(dataset_)));
  if (!seen || seen->mark == std::exchange(manifest_seen_, seen->mark)) return {};
  const auto coming = TRY(manifest(store::incoming_manifest(dataset_)));
  if (coming && coming->root() != root_)
    return fail(Kind::kChanged, "read the dataset " + dataset_.text(),
                "its source was changed while it was on its way");
  return {};
}

Result<Feed::Presence> Feed::read_checked(const TreeName& name, const Chunk& chunk,
                                          ByteVector& out) {
  out.resize(chunk.length);
  const auto filled = TRY(site_->read(name, chunk.offset, out));
  return filled == gateway::Site::Filled::kWhole && crypto::sha256(out) == chunk.id
             ? Presence::kHere
             : Presence::kNotYet;
}

// The chunk's bytes, or null: they are not here yet.
Result<const ByteVector*> Feed::checked(std::size_t file, const Chunk& chunk) {
  const auto key = std::pair(file, chunk.offset);
  if (const auto found = places_.find(key); found != places_.end()) {
    cache_.splice(cache_.begin(), cache_, found->second);
    return &cache_.front().bytes;
  }
  const TreeName name = TRY(TreeName::parse(files_[file].name));
  ByteVector bytes;
  bool here = false;
  for (int round = 0; round < 2 && !here; ++round) {
    if (published_) {
      here = TRY(read_checked(name.under(*published_), chunk, bytes)) == Presence::kHere;
      if (!here)
        return fail(Error(Kind::kIntegrity, "read " + printable(files_[file].name, 500),
                          "a chunk does not have the hash that the manifest names")
                        .advise("longhaul verify names what is damaged"));
      break;
    }
    const TreeName coming = name.under(store::incoming_tree(dataset_));
    here = TRY(read_checked(coming, chunk, bytes)) == Presence::kHere ||
           (before_ && TRY(read_checked(name.under(*before_), chunk, bytes)) == Presence::kHere);
    if (here || round == 1) break;
    TRY(look_for_version());
    if (!published_) break;
  }
  if (!here) {
    waiting_for_ =
        "chunk " + chunk.id.hex().substr(0, 12) + ".. of " + printable(files_[file].name, 200);
    return nullptr;
  }
  cached_bytes_ += bytes.size();
  cache_.push_front({file, chunk.offset, std::move(bytes)});
  places_[key] = cache_.begin();
  while (cached_bytes_ > options_.cache_bytes && cache_.size() > 1) {
    cached_bytes_ -= cache_.back().bytes.size();
    places_.erase({cache_.back().file, cache_.back().offset});
    cache_.pop_back();
  }
  return &cache_.front().bytes;
}

// The first that ends behind this place.
std::vector<Feed::Chunk>::const_iterator Feed::chunk_at(std::size_t file,
                                                        std::uint64_t offset) const {
  return std::partition_point(
      chunks_[file].begin(), chunks_[file].end(),
      [offset](const Chunk& chunk) { return chunk.offset + chunk.length <= offset; });
}

void Feed::need(std::span<const Range> ranges, std::size_t urgent) {
  if (published_ || identity_.empty()) return;
  store::Demand demand;
  std::unordered_set<store::ChunkId> seen;
  for (std::size_t i = 0; i < ranges.size(); ++i) {
    const auto [file, offset, bytes] = ranges[i];
    if (file >= files_.size() || offset > files_[file].bytes) continue;
    const std::uint64_t end = offset + std::min(bytes, files_[file].bytes - offset);
    for (auto chunk = chunk_at(file, offset); chunk != chunks_[file].end() && chunk->offset < end;
         ++chunk)
      if (demand.chunks.size() < store::kDemandChunksMax && seen.insert(chunk->id).second)
        demand.chunks.push_back(chunk->id);
    if (i < urgent) demand.urgent = static_cast<std::uint32_t>(demand.chunks.size());
  }
  site_->want(dataset_, demand);
}

Result<Feed::Presence> Feed::read(std::size_t file, std::uint64_t offset, MutableBytes out) {
  return or_not_yet(read_all(file, offset, out));
}

Result<Feed::Presence> Feed::read_all(std::size_t file, std::uint64_t offset, MutableBytes out) {
  if (file >= files_.size() || offset > files_[file].bytes ||
      out.size() > files_[file].bytes - offset)
    return fail(Kind::kUsage, "read a dataset", "the range lies beyond the file");
  const std::uint64_t end = offset + out.size();
  const std::vector<Chunk>& chunks = chunks_[file];
  const auto first = chunk_at(file, offset);
  ByteVector whole(out.size());  // holes are zeros
  for (auto chunk = first; chunk != chunks.end() && chunk->offset < end; ++chunk) {
    const ByteVector* bytes = TRY(checked(file, *chunk));
    if (bytes == nullptr) return Presence::kNotYet;
    const std::uint64_t from = std::max(offset, chunk->offset);
    const std::uint64_t to = std::min(end, chunk->offset + chunk->length);
    std::memcpy(whole.data() + (from - offset), bytes->data() + (from - chunk->offset), to - from);
  }
  std::copy(whole.begin(), whole.end(), out.begin());
  return Presence::kHere;
}

}  // namespace longhaul::client
