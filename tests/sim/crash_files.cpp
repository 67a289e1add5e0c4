#include "tests/sim/crash_files.hpp"

#include <algorithm>

#include "lib/base/assert.hpp"
#include "tests/sim/crash_files_open.hpp"

namespace longhaul::sim {

using store::FileStat;
using store::FileType;
using store::TreeName;

namespace {

constexpr std::size_t kSector = 512;
// A file system refuses what is longer than it can address (EFBIG); this one's files lie in memory.
constexpr std::uint64_t kLongestFile = 256ULL << 20;

tl::unexpected<Error> refuse(Kind kind, const char* attempt, const TreeName& name) {
  return fail(kind, std::string(attempt) + ' ' + name.shown());
}

void put_bytes(ByteVector& content, Bytes bytes, std::uint64_t offset) {
  const auto at = static_cast<std::size_t>(offset);
  if (content.size() < at + bytes.size()) content.resize(at + bytes.size());
  std::copy(bytes.begin(), bytes.end(), content.begin() + static_cast<std::ptrdiff_t>(at));
}

}  // namespace

CrashFiles::CrashFiles(Options options) : options_(options) {
  add_node(FileType::kFolder, 0755);
}

void CrashFiles::stop_after(std::uint64_t changes) {
  stop_at_ = changes_ + changes;
}
void CrashFiles::fail_change(std::uint64_t after, Error error) {
  fail_at_ = changes_ + after;
  failure_ = std::move(error);
}
std::uint64_t CrashFiles::changes() const {
  return changes_;
}
std::uint64_t CrashFiles::read_bytes() const {
  return read_bytes_;
}
std::uint64_t CrashFiles::unsynced() const {
  return pending_.size();
}
std::uint64_t CrashFiles::syncs() const {
  return syncs_;
}
void CrashFiles::set_free_bytes(std::uint64_t bytes) {
  free_bytes_ = used_bytes() + bytes;
}
void CrashFiles::set_clock(WallTime now) {
  clock_ns_ = now.ns;
}
void CrashFiles::skip_sync(std::uint64_t nth) {
  skip_sync_at_ = syncs_ + nth;
}
std::string CrashFiles::boot_id() const {
  return "boot-" + std::to_string(boot_);
}

void CrashFiles::kill_process() {
  const std::lock_guard lock(mutex_);
  locks_.clear();
  stop_at_ = fail_at_ = std::numeric_limits<std::uint64_t>::max();
}

void CrashFiles::rot(const TreeName& name, std::uint64_t offset) {
  const std::lock_guard lock(mutex_);
  const auto place = find(name, "rot");
  ASSERT(place && place->node != kNone);
  Node& node = nodes_[place->node];
  for (State* state : {&node.seen, &node.kept})
    if (offset < state->content.size())
      state->content[static_cast<std::size_t>(offset)] ^= std::byte{1};
}

Result<> CrashFiles::admit(const char* attempt) {
  if (changes_ >= stop_at_) return fail(Kind::kInterrupted, attempt, "the power is off");
  return {};
}

Result<> CrashFiles::admit_change(const char* attempt) {
  TRY(admit(attempt));
  if (changes_ == fail_at_) {
    ++changes_;
    return fail(failure_);
  }
  ++changes_;
  return {};
}

WallTime CrashFiles::tick() {
  return WallTime{clock_ns_ += 1000};
}

CrashFiles::NodeNo CrashFiles::add_node(FileType type, std::uint32_t mode) {
  Node node;
  node.type = type;
  node.seen.mode = node.kept.mode = mode;
  node.seen.mtime = node.kept.mtime = node.ctime = tick();
  nodes_.push_back(std::move(node));
  return nodes_.size() - 1;
}

std::uint64_t CrashFiles::used_bytes() const {
  std::uint64_t used = 0;
  for (const Node& node : nodes_) used += node.seen.content.size();
  return used;
}

FileStat CrashFiles::stat_of(NodeNo no) const {
  const Node& node = nodes_[no];
  FileStat stat;
  stat.type = node.type;
  stat.mode = node.seen.mode;
  stat.size = node.seen.content.size();
  stat.mtime = node.seen.mtime;
  stat.ctime = node.ctime;
  stat.inode = no;
  stat.device = 1;
  stat.links = node.links;
  const Bytes content = node.seen.content;
  for (std::size_t at = 0; at < content.size(); at += kHoleBlock) {
    const std::size_t length = std::min(kHoleBlock, content.size() - at);
    if (!is_zero(content.subspan(at, length))) stat.allocated += length;
  }
  return stat;
}

Result<CrashFiles::Place> CrashFiles::find(const TreeName& name, const char* attempt) {
  Place place{kRoot, "", kRoot};
  std::string_view left = name.text();
  while (!left.empty()) {
    if (place.node == kNone) return refuse(Kind::kNotFound, attempt, name);
    if (nodes_[place.node].type != FileType::kFolder)
      return refuse(nodes_[place.node].type == FileType::kLink ? Kind::kMalformed : Kind::kNotFound,
                    attempt, name);
    const std::size_t slash = std::min(left.find('/'), left.size());
    place.folder = place.node;
    place.last = left.substr(0, slash);
    const auto& names = nodes_[place.folder].seen.names;
    const auto found = names.find(place.last);
    place.node = found == names.end() ? kNone : found->second;
    left.remove_prefix(std::min(slash + 1, left.size()));
  }
  return place;
}

void CrashFiles::change_names(Change change) {
  auto& names = nodes_[change.node].seen.names;
  if (const auto old = names.find(change.name); old != names.end()) {
    --nodes_[old->second].links;
    names.erase(old);
  }
  if (change.old_folder != kNone) {
    nodes_[change.old_folder].seen.names.erase(change.old_name);
    --nodes_[change.target].links;
  }
  if (change.target != kNone) {
    names[change.name] = change.target;
    ++nodes_[change.target].links;
    nodes_[change.target].ctime = tick();
  }
  nodes_[change.node].seen.mtime = nodes_[change.node].ctime = tick();
  change.what = Change::What::kNames;
  pending_.push_back(std::move(change));
}

void CrashFiles::apply(const Change& change) {
  State& kept = nodes_[change.node].kept;
  switch (change.what) {
    case Change::What::kWrite:
      put_bytes(kept.content, change.bytes, change.offset);
      break;
    case Change::What::kResize:
      kept.content.resize(static_cast<std::size_t>(change.offset));
      break;
    case Change::What::kAttributes:
      kept.mode = change.mode;
      kept.mtime = change.mtime;
      break;
    case Change::What::kNames:
      if (change.old_folder != kNone) {
        auto& old_names = nodes_[change.old_folder].kept.names;
        const auto old = old_names.find(change.old_name);
        if (old != old_names.end() && old->second == change.target) old_names.erase(old);
      }
      if (change.target == kNone) {
        kept.names.erase(change.name);
      } else {
        kept.names[change.name] = change.target;
      }
      break;
  }
}

// A write of which only some sectors arrived.
void CrashFiles::apply_torn(const Change& change, Rng& rng) {
  for (std::size_t at = 0; at < change.bytes.size();) {
    const std::uint64_t offset = change.offset + at;
    const std::size_t room = kSector - static_cast<std::size_t>(offset % kSector);
    const std::size_t length = std::min(room, change.bytes.size() - at);
    if (rng.chance(0.5))
      put_bytes(nodes_[change.node].kept.content, Bytes(change.bytes).subspan(at, length), offset);
    at += length;
  }
}

void CrashFiles::lose_power(Keep keep) {
  const std::lock_guard lock(mutex_);
  Rng rng(keep.number_, "power");
  const double share = rng.unit();  // some crashes lose nearly all, some nearly nothing
  for (std::size_t i = 0; i < pending_.size(); ++i) {
    const bool is_write = pending_[i].what == Change::What::kWrite;
    if (keep.way_ == Keep::Way::kNone) break;
    if (keep.way_ == Keep::Way::kPrefix) {
      if (i < keep.number_) apply(pending_[i]);
      if (i == keep.number_ && is_write) apply_torn(pending_[i], rng);
    } else if (is_write && rng.chance(0.3)) {
      apply_torn(pending_[i], rng);
    } else if (rng.chance(share)) {
      apply(pending_[i]);
    }
  }
  pending_.clear();
  for (Node& node : nodes_) {
    node.seen = node.kept;
    node.links = 0;
  }
  for (const Node& node : nodes_)
    for (const auto& [name, target] : node.seen.names) ++nodes_[target].links;
  ++boot_;
  locks_.clear();
  stop_at_ = fail_at_ = std::numeric_limits<std::uint64_t>::max();
}

// The changes that `pick` takes become durable. A failed sync loses them for good, and a skipped
// one leaves them as they are.
template <class Pick>
Result<> CrashFiles::sync_where(const char* attempt, Pick pick) {
  auto admitted = admit_change(attempt);
  if (!admitted && admitted.error().kind() == Kind::kInterrupted) return admitted;
  if (++syncs_ == skip_sync_at_) return admitted;
  std::vector<Change> left;
  for (Change& change : pending_) {
    if (!pick(change)) {
      left.push_back(std::move(change));
    } else if (admitted) {
      apply(change);
    } else if (change.what == Change::What::kNames) {
      left.push_back(std::move(change));  // names are journaled; a failed sync loses pages
    }
  }
  pending_ = std::move(left);
  return admitted;
}

Result<> CrashFiles::sync_node(NodeNo no) {
  return sync_where("sync", [no](const Change& change) {
    return change.node == no && change.what != Change::What::kNames;
  });
}

Result<> CrashFiles::sync_all() {
  const std::lock_guard lock(mutex_);
  return sync_where("sync the disk", [](const Change&) { return true; });
}

Result<> CrashFiles::sync_folder(const TreeName& name) {
  const std::lock_guard lock(mutex_);
  const Place place = TRY(find(name, "sync the folder"));
  if (place.node == kNone) return refuse(Kind::kNotFound, "sync the folder", name);
  return sync_where("sync the folder", [&place](const Change& change) {
    return change.what == Change::What::kNames && change.node == place.node;
  });
}

Result<> CrashFiles::write_node(NodeNo no, Bytes bytes, std::uint64_t offset) {
  TRY(admit_change("write"));
  Node& node = nodes_[no];
  const std::uint64_t size =
      std::max<std::uint64_t>(node.seen.content.size(), offset + bytes.size());
  if (size > kLongestFile) return fail(Kind::kLimit, "write", "file too large");
  if (used_bytes() - node.seen.content.size() + size > free_bytes_)
    return fail(Kind::kNoSpace, "write", "no space left on device");
  put_bytes(node.seen.content, bytes, offset);
  node.seen.mtime = node.ctime = tick();
  Change change;
  change.node = no;
  change.offset = offset;
  change.bytes.assign(bytes.begin(), bytes.end());
  pending_.push_back(std::move(change));
  return {};
}

Result<> CrashFiles::resize_node(NodeNo no, std::uint64_t size) {
  TRY(admit_change("resize"));
  if (size > kLongestFile) return fail(Kind::kLimit, "resize", "file too large");
  nodes_[no].seen.content.resize(static_cast<std::size_t>(size));
  nodes_[no].seen.mtime = nodes_[no].ctime = tick();
  Change change;
  change.what = Change::What::kResize;
  change.node = no;
  change.offset = size;
  pending_.push_back(std::move(change));
  return {};
}

}  // namespace longhaul::sim
