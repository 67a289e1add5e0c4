// The calls of CrashFiles that work on names.
#include "tests/sim/crash_files.hpp"
#include "tests/sim/crash_files_open.hpp"

namespace longhaul::sim {

using store::Access;
using store::FileStat;
using store::FileType;
using store::TreeName;

namespace {

tl::unexpected<Error> refuse(Kind kind, const char* attempt, const TreeName& name) {
  return fail(kind, std::string(attempt) + ' ' + name.shown());
}

}  // namespace

Result<std::unique_ptr<store::File>> CrashFiles::open(const TreeName& name, Access access) {
  const std::lock_guard lock(mutex_);
  TRY(admit("open"));
  Place place = TRY(find(name, "open"));
  const bool creates = access == Access::kCreate || access == Access::kOpenOrCreate;
  if (place.node != kNone && access == Access::kCreate) return refuse(Kind::kExists, "open", name);
  if (place.node == kNone && !creates) return refuse(Kind::kNotFound, "open", name);
  if (place.node == kNone) {
    TRY(admit_change("create"));
    place.node = add_node(FileType::kFile, 0644);
    Change change;
    change.node = place.folder;
    change.name = place.last;
    change.target = place.node;
    change_names(std::move(change));
  }
  if (nodes_[place.node].type == FileType::kLink) return refuse(Kind::kMalformed, "open", name);
  if (nodes_[place.node].type != FileType::kFile) return refuse(Kind::kUnsupported, "open", name);
  return std::make_unique<OpenFile>(*this, place.node);
}

Result<std::unique_ptr<store::Folder>> CrashFiles::open_folder(const TreeName& name) {
  const std::lock_guard lock(mutex_);
  TRY(admit("list"));
  const Place place = TRY(find(name, "list"));
  if (place.node == kNone || nodes_[place.node].type != FileType::kFolder)
    return refuse(Kind::kNotFound, "list", name);
  std::vector<store::Found> found;
  for (const auto& [entry, node] : nodes_[place.node].seen.names)
    found.push_back({entry, stat_of(node)});
  return std::make_unique<OpenFolder>(*this, std::move(found));
}

Result<FileStat> CrashFiles::stat(const TreeName& name) {
  const std::lock_guard lock(mutex_);
  TRY(admit("stat"));
  const Place place = TRY(find(name, "stat"));
  if (place.node == kNone) return refuse(Kind::kNotFound, "stat", name);
  return stat_of(place.node);
}

Result<> CrashFiles::make_folder(const TreeName& name) {
  const std::lock_guard lock(mutex_);
  TRY(admit("make the folder"));
  const Place place = TRY(find(name, "make the folder"));
  if (place.node != kNone) return refuse(Kind::kExists, "make the folder", name);
  TRY(admit_change("make the folder"));
  Change change;
  change.node = place.folder;
  change.name = place.last;
  change.target = add_node(FileType::kFolder, 0755);
  change_names(std::move(change));
  return {};
}

Result<> CrashFiles::rename(const TreeName& from, const TreeName& to, store::Replace replace) {
  const std::lock_guard lock(mutex_);
  TRY(admit("rename"));
  const Place old_place = TRY(find(from, "rename"));
  const Place new_place = TRY(find(to, "rename to"));
  if (old_place.node == kNone) return refuse(Kind::kNotFound, "rename", from);
  if (new_place.node != kNone) {
    const Node& there = nodes_[new_place.node];
    const bool full = there.type == FileType::kFolder && !there.seen.names.empty();
    if (replace == store::Replace::kNo || full) return refuse(Kind::kExists, "rename to", to);
  }
  TRY(admit_change("rename"));
  Change change;
  change.node = new_place.folder;
  change.name = new_place.last;
  change.target = old_place.node;
  change.old_folder = old_place.folder;
  change.old_name = old_place.last;
  change_names(std::move(change));
  return {};
}

Result<> CrashFiles::link(const TreeName& from, const TreeName& to) {
  const std::lock_guard lock(mutex_);
  TRY(admit("link"));
  const Place old_place = TRY(find(from, "link"));
  const Place new_place = TRY(find(to, "link to"));
  if (!options_.can_link) return refuse(Kind::kUnsupported, "link to", to);
  if (old_place.node == kNone) return refuse(Kind::kNotFound, "link", from);
  if (new_place.node != kNone) return refuse(Kind::kExists, "link to", to);
  TRY(admit_change("link"));
  Change change;
  change.node = new_place.folder;
  change.name = new_place.last;
  change.target = old_place.node;
  change_names(std::move(change));
  return {};
}

Result<> CrashFiles::reflink(const TreeName& from, const TreeName& to) {
  if (!options_.can_reflink) return refuse(Kind::kUnsupported, "share blocks with", to);
  auto source = TRY(open(from, Access::kRead));
  const FileStat stat = TRY(source->stat());
  ByteVector bytes(static_cast<std::size_t>(stat.size));
  TRY(source->read_at(bytes, 0));
  auto copy = TRY(open(to, Access::kCreate));
  return copy->write_at(bytes, 0);
}

Result<> CrashFiles::remove(const TreeName& name) {
  const std::lock_guard lock(mutex_);
  TRY(admit("remove"));
  const Place place = TRY(find(name, "remove"));
  if (place.node == kNone) return refuse(Kind::kNotFound, "remove", name);
  if (nodes_[place.node].type == FileType::kFolder) return refuse(Kind::kUsage, "remove", name);
  TRY(admit_change("remove"));
  Change change;
  change.node = place.folder;
  change.name = place.last;
  change_names(std::move(change));
  return {};
}

Result<> CrashFiles::remove_folder(const TreeName& name) {
  const std::lock_guard lock(mutex_);
  TRY(admit("remove"));
  const Place place = TRY(find(name, "remove"));
  if (place.node == kNone) return refuse(Kind::kNotFound, "remove", name);
  if (nodes_[place.node].type != FileType::kFolder) return refuse(Kind::kUsage, "remove", name);
  if (!nodes_[place.node].seen.names.empty()) return refuse(Kind::kExists, "remove", name);
  TRY(admit_change("remove"));
  Change change;
  change.node = place.folder;
  change.name = place.last;
  change_names(std::move(change));
  return {};
}

Result<> CrashFiles::make_link(const std::string& target, const TreeName& name) {
  const std::lock_guard lock(mutex_);
  TRY(admit("make the link"));
  const Place place = TRY(find(name, "make the link"));
  if (place.node != kNone) return refuse(Kind::kExists, "make the link", name);
  TRY(admit_change("make the link"));
  Change change;
  change.node = place.folder;
  change.name = place.last;
  change.target = add_node(FileType::kLink, 0777);
  State& seen = nodes_[change.target].seen;
  seen.content.assign(bytes_of(target).begin(), bytes_of(target).end());
  nodes_[change.target].kept = seen;  // a link's text goes with its name
  change_names(std::move(change));
  return {};
}

Result<std::string> CrashFiles::read_link(const TreeName& name) {
  const std::lock_guard lock(mutex_);
  TRY(admit("read the link"));
  const Place place = TRY(find(name, "read the link"));
  if (place.node == kNone || nodes_[place.node].type != FileType::kLink)
    return refuse(Kind::kNotFound, "read the link", name);
  return std::string(text_of(nodes_[place.node].seen.content));
}

Result<> CrashFiles::set_mode(const TreeName& name, std::uint32_t mode) {
  const auto now = TRY(stat(name));
  return set_attributes(name, mode, now.mtime);
}

Result<> CrashFiles::set_attributes(const TreeName& name, std::uint32_t mode, WallTime mtime) {
  const std::lock_guard lock(mutex_);
  TRY(admit("set mode and time of"));
  const Place place = TRY(find(name, "set mode and time of"));
  if (place.node == kNone) return refuse(Kind::kNotFound, "set mode and time of", name);
  TRY(admit_change("set mode and time of"));
  Node& node = nodes_[place.node];
  node.seen.mode = mode;
  node.seen.mtime = mtime;
  node.ctime = tick();
  Change change;
  change.what = Change::What::kAttributes;
  change.node = place.node;
  change.mode = mode;
  change.mtime = mtime;
  pending_.push_back(std::move(change));
  return {};
}

Result<store::FreeSpace> CrashFiles::free_space() {
  const std::lock_guard lock(mutex_);
  TRY(admit("ask for free space"));
  const std::uint64_t used = used_bytes();
  return store::FreeSpace{free_bytes_ > used ? free_bytes_ - used : 0, 1U << 30};
}

Result<std::unique_ptr<store::FileLock>> CrashFiles::lock(const TreeName& name) {
  TRY(open(name, Access::kOpenOrCreate));
  const std::lock_guard lock(mutex_);
  if (!locks_.insert(name.text()).second) return refuse(Kind::kBusy, "lock", name);
  return std::make_unique<HeldLock>(*this, name.text());
}

}  // namespace longhaul::sim
