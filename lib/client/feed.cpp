#include "lib/client/feed.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <unordered_set>

#include "lib/base/escape.hpp"
#include "lib/store/manifest_file.hpp"

namespace longhaul::client {
namespace {

using store::TreeName;
using store::VersionNo;

constexpr std::string_view kIncoming = "incoming";

class Descriptor {
 public:
  explicit Descriptor(const std::string& path)
      : fd_(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK)) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  bool open() const { return fd_ >= 0; }
  // Whether all of `out` could be filled.
  bool read(std::uint64_t offset, MutableBytes out) const {
    while (!out.empty()) {
      const ssize_t got = ::pread(fd_, out.data(), out.size(), static_cast<off_t>(offset));
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) return false;
      out = out.subspan(static_cast<std::size_t>(got));
      offset += static_cast<std::uint64_t>(got);
    }
    return true;
  }

 private:
  const int fd_;
};

std::string identity_of(const store::DatasetName& dataset, const crypto::Digest& root) {
  return dataset.text() + " sha256:" + root.hex();
}

}  // namespace

Result<std::unique_ptr<Feed>> Feed::open(const FeedOptions& options) {
  const std::size_t at = options.dataset.find('@');
  auto dataset = TRY(store::DatasetName::parse(options.dataset.substr(0, at)));
  std::unique_ptr<Feed> feed(new Feed(options, std::move(dataset)));
  if (at != std::string::npos) {
    const std::string which = options.dataset.substr(at + 1);
    const auto version = store::parse_version(which);
    if (!version && which != kIncoming)
      return fail(Kind::kUsage, "read the dataset " + printable(options.dataset, 200),
                  "behind the @ stands a version, v000001, or the word incoming");
    feed->which_ = version ? Which::kVersion : Which::kIncoming;
    if (version) feed->version_ = *version;
  }
  std::error_code error;
  if (!std::filesystem::is_directory(options.root + "/.longhaul", error))
    return fail(error.value() == EACCES ? Kind::kPermission : Kind::kNotFound,
                "read a dataset below " + printable(options.root, 500),
                "that is no streamer's root, or another user's");
  return feed;
}

std::optional<VersionNo> Feed::current() const {
  std::error_code error;
  const auto link = std::filesystem::read_symlink(
      options_.root + "/datasets/" + dataset_.text() + "/current", error);
  return error ? std::nullopt : store::parse_version(link.native());
}

// Nothing if there is none.
Result<std::optional<store::Tree>> Feed::manifest(const TreeName& name) const {
  const std::string path = path_of(name);
  std::error_code error;
  const auto size = std::filesystem::file_size(path, error);
  if (error.value() == ENOENT || error.value() == ENOTDIR) return std::optional<store::Tree>();
  if (error) return fail_errno("read " + printable(path, 500), error.value());
  if (size > store::kTreeBytesMax + 4096)
    return fail(Kind::kLimit, "read " + printable(path, 500), "it is too large");
  ByteVector bytes(size);
  const Descriptor file(path);
  if (!file.open()) return std::optional<store::Tree>();  // replaced or removed just now
  if (!file.read(0, bytes)) return fail(Kind::kChanged, "read " + printable(path, 500));
  return TRY(store::parse_manifest(bytes, name.shown()));
}

Result<Feed::Presence> Feed::ready() {
  if (!identity_.empty()) return Presence::kHere;
  const auto try_version = [this](VersionNo version) -> Result<Presence> {
    const auto tree = TRY(manifest(store::Root::manifest_of(dataset_, version)));
    if (!tree) return Presence::kNotYet;
    const Presence taken = TRY(take(*tree));
    if (taken == Presence::kHere) published_ = store::Root::folder_of(dataset_, version);
    return taken;
  };
  const auto newest = current();
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
  const auto coming = TRY(manifest(store::incoming_manifest(dataset_)));
  waiting_for_ = "the manifest of " + dataset_.text();
  if (!coming) {
    wish_.say({});
    return Presence::kNotYet;
  }
  if (newest) before_ = store::Root::folder_of(dataset_, *newest);
  return take(*coming);
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
  if (const auto newest = current()) {
    const Descriptor file(path_of(store::Root::manifest_of(dataset_, *newest)));
    if (file.open()) {
      const auto tree = TRY(manifest(store::Root::manifest_of(dataset_, *newest)));
      if (tree && tree->root() == root_) published_ = store::Root::folder_of(dataset_, *newest);
    }
  }
  if (published_) {
    wish_.withdraw();
    return {};
  }
  if (!manifest_is_another()) return {};
  const auto coming = TRY(manifest(store::incoming_manifest(dataset_)));
  if (coming && coming->root() != root_)
    return fail(Kind::kChanged, "read the dataset " + dataset_.text(),
                "its source was changed while it was on its way");
  return {};
}

// A manifest may be hundreds of megabytes: who waits does not read it each time it looks.
bool Feed::manifest_is_another() {
  struct stat stat {};
  if (::stat(path_of(store::incoming_manifest(dataset_)).c_str(), &stat) != 0) return false;
  const std::array<std::int64_t, 5> seen = {static_cast<std::int64_t>(stat.st_ino), stat.st_size,
                                            stat.st_ctim.tv_sec, stat.st_ctim.tv_nsec,
                                            stat.st_mtim.tv_nsec};
  return seen != std::exchange(manifest_seen_, seen);
}

bool Feed::read_checked(const std::string& path, const Chunk& chunk, ByteVector& out) const {
  const Descriptor file(path);
  out.resize(chunk.length);
  return file.open() && file.read(chunk.offset, out) && crypto::sha256(out) == chunk.id;
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
      here = read_checked(path_of(name.under(*published_)), chunk, bytes);
      if (!here)
        return fail(Error(Kind::kIntegrity, "read " + printable(files_[file].name, 500),
                          "a chunk does not have the hash that the manifest names")
                        .advise("longhaul verify names what is damaged"));
      break;
    }
    here = read_checked(path_of(name.under(store::incoming_tree(dataset_))), chunk, bytes) ||
           (before_ && read_checked(path_of(name.under(*before_)), chunk, bytes));
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
  wish_.say(demand);
}

Result<Feed::Presence> Feed::read(std::size_t file, std::uint64_t offset, MutableBytes out) {
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
