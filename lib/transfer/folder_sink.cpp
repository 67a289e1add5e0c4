#include "lib/transfer/folder_sink.hpp"

#include <set>

namespace longhaul::transfer {

using store::Entry;
using store::EntryType;
using store::TreeName;

namespace {
const char* const kOwn = ".longhaul";
const char* const kMoveAway = "move it away, or use --force";
constexpr std::size_t kScanStep = 1000;

bool same_kind(EntryType a, EntryType b) {
  const auto plain = [](EntryType t) { return t == EntryType::kHardLink ? EntryType::kFile : t; };
  return plain(a) == plain(b);
}

// The same file with the same content; a name more or less for it (links) changes its ctime.
bool is_same_object(store::FileStat before, const store::FileStat& now) {
  if (before.type == store::FileType::kFolder) return now.type == store::FileType::kFolder;
  if (before.links != now.links) before.ctime = now.ctime;
  return before.same_content_as(now);
}

// Made anew when it is placed: cheap, and then surely one file.
bool is_same_link(const Entry& here, const Entry& entry) {
  return here.type == EntryType::kHardLink && entry.type == EntryType::kHardLink &&
         here.target == entry.target;
}

std::set<TreeName> names_of(const store::Tree& tree) {
  std::set<TreeName> names;
  for (store::TreeWalk walk(tree); walk.next();) names.insert(walk.entry().name);
  return names;
}
}  // namespace

FolderSink::FolderSink(std::shared_ptr<store::Files> files, std::string_view dataset,
                       FolderOptions options)
    : StagedSink(std::move(files), staging_folder("pull " + std::string(dataset))),
      options_(std::move(options)),
      pulled_(listed(options_.pulled)),
      begun_(listed(options_.begun)) {}

FolderSink::Left FolderSink::listed(const std::optional<store::Tree>& tree) {
  Left left;
  if (!tree) return left;
  for (store::TreeWalk walk(*tree); walk.next();) {
    const bool is_file = walk.entry().type == EntryType::kFile;
    left.emplace(walk.entry().name,
                 std::pair(walk.entry(), is_file ? walk.pieces() : std::vector<store::Piece>()));
  }
  return left;
}

Result<Sink::Opened> FolderSink::prepare(const wire::Offer& offer) {
  TRY(look_around());
  Opened opened;
  // A base promises the bytes of every file in it: one that is missing or changed here would never
  // come.
  const auto& base = options_.pulled;
  if (base && offer.base && base->root() == *offer.base && holds_all(*base)) opened.base = base;
  return opened;
}

// What stands in the folder: to take bytes from, and to know at the end what was touched meanwhile.
// Its .longhaulignore says what to push from here, not what may be overwritten.
Result<> FolderSink::look_around() {
  store::ScanOptions everything;
  everything.ignore_files = false;
  store::Scan scan(files(), everything, nullptr);
  for (;;) {
    auto items = TRY(scan.next(kScanStep));
    if (items.empty()) return {};
    for (store::ScanItem& item : items) {
      if (item.entry.name.is_within(TreeName::known(kOwn))) continue;
      Here here{std::move(item.entry), item.seen, {}};
      if (here.entry.type == EntryType::kFile) TRY(read_here(here));
      const TreeName name = here.entry.name;
      here_.emplace(name, std::move(here));
    }
  }
}

// One that cannot be read, or that somebody is writing, keeps no pieces: it is like nothing else.
Result<> FolderSink::read_here(Here& here) {
  const auto read = [&]() -> Result<> {
    auto hasher = TRY(store::FileHasher::open(files(), here.entry.name, here.seen));
    while (TRY(hasher.step(4U << 20, here.pieces)) == store::FileHasher::Progress::kMore) {
    }
    return {};
  }();
  if (!read) {
    here.pieces.clear();
    here.unread = true;
    const Kind kind = read.error().kind();
    const bool its_own = kind == Kind::kPermission || kind == Kind::kChanged ||
                         kind == Kind::kNotFound || kind == Kind::kMalformed;
    return its_own ? Result<>() : read;
  }
  std::uint64_t offset = 0;
  for (const store::Piece& piece : here.pieces) {
    if (!piece.hole) local_.emplace(piece.chunk, LocalPlace{here.entry.name, offset});
    offset += piece.length;
  }
  return {};
}

bool FolderSink::holds_all(const store::Tree& tree) const {
  for (store::TreeWalk walk(tree); walk.next();) {
    if (walk.entry().type != EntryType::kFile) continue;
    const auto found = here_.find(walk.entry().name);
    if (found == here_.end() || !is_same(found->second, walk.entry(), walk.pieces())) return false;
  }
  return true;
}

std::optional<LocalPlace> FolderSink::find_local(const store::ChunkId& chunk) {
  const auto found = local_.find(chunk);
  if (found == local_.end()) return std::nullopt;
  return found->second;
}

std::uint64_t FolderSink::may_stay() const {
  std::uint64_t bytes = 0;
  for (const auto& [name, here] : here_)
    bytes += here.entry.type == EntryType::kFile ? here.entry.size : 0;
  return bytes;
}

bool FolderSink::is_same(const Here& here, const Entry& entry,
                         std::span<const store::Piece> pieces) const {
  if (!same_kind(here.entry.type, entry.type)) return false;
  if (entry.type == EntryType::kFolder) return true;
  if (entry.type == EntryType::kSymlink) return here.entry.target == entry.target;
  if (entry.type == EntryType::kHardLink) return false;  // see is_same_link
  return here.entry.type == EntryType::kFile && !here.unread && here.entry.size == entry.size &&
         std::equal(here.pieces.begin(), here.pieces.end(), pieces.begin(), pieces.end());
}

bool FolderSink::is_as_in(const Left& left, const Here& here) const {
  const auto found = left.find(here.entry.name);
  if (found == left.end()) return false;
  const auto& [entry, pieces] = found->second;
  if (here.entry.type == EntryType::kHardLink || entry.type == EntryType::kHardLink)
    return same_kind(here.entry.type, entry.type);
  return is_same(here, entry, pieces);
}

bool FolderSink::is_as_pulled(const Here& here) const {
  return is_as_in(pulled_, here) || is_as_in(begun_, here);
}

Result<> FolderSink::check_conflicts(const store::Tree& tree) {
  std::uint64_t count = 0;
  std::string first;
  for (store::TreeWalk walk(tree); walk.next();) {
    const TreeName& name = walk.entry().name;
    const auto found = here_.find(name);
    if (found == here_.end()) {
      // Not seen by the walk: new since, or nothing that a tree can hold (a socket, a device).
      TRY(check_unchanged(name));
      continue;
    }
    const Here& here = found->second;
    const bool is_file = walk.entry().type == EntryType::kFile;
    if (is_same(here, walk.entry(), is_file ? walk.pieces() : std::vector<store::Piece>()) ||
        is_same_link(here.entry, walk.entry()))
      continue;
    TRY(check_unchanged(name));
    if (options_.force || is_as_pulled(here)) continue;
    if (count++ == 0) first = name.shown();
  }
  if (options_.remove_others) TRY(check_removals(tree));
  if (count == 0) return {};
  const std::string more = " and " + std::to_string(count - 1) + " more were";
  return fail(
      Error(Kind::kExists, "replace " + first,
            "it" + (count > 1 ? more : std::string(" was")) + " changed here; nothing was touched")
          .advise(kMoveAway));
}

// A file that a pull put here and that was changed since is somebody's work: --delete alone does
// not take it.
Result<> FolderSink::check_removals(const store::Tree& tree) {
  const std::set<TreeName> kept = names_of(tree);
  for (const auto& [name, here] : here_) {
    if (kept.contains(name) || here.entry.type == EntryType::kFolder) continue;
    TRY(check_unchanged(name));
    if (options_.force || is_as_pulled(here)) continue;
    if (!pulled_.contains(name) && !begun_.contains(name)) continue;
    return fail(
        Error(Kind::kExists, "remove " + name.shown(), "it was changed here; nothing was touched")
            .advise(kMoveAway));
  }
  return {};
}

// Still what the walk saw there, or still nothing; a folder may have got new content.
Result<> FolderSink::check_unchanged(const TreeName& name) {
  const auto stat = files().stat(name);
  if (!stat) {  // malformed: below a link, which is replaced before this name is
    const bool nothing =
        stat.error().kind() == Kind::kNotFound || stat.error().kind() == Kind::kMalformed;
    return nothing ? Result<>() : fail(stat.error());
  }
  const auto found = here_.find(name);
  if (found == here_.end()) {
    if (stat->type == store::FileType::kFolder || options_.force) return {};
    return fail(Error(Kind::kExists, "replace " + name.shown(), "something of yours stands there")
                    .advise(kMoveAway));
  }
  const auto ours = touched_.find({stat->device, stat->inode});
  if (is_same_object(ours == touched_.end() ? found->second.seen : ours->second, *stat)) return {};
  return fail(Error(Kind::kChanged, "replace " + name.shown(),
                    "it changed while it was pulled, so it stays")
                  .advise("pull again when nothing writes there"));
}

Result<Published> FolderSink::publish(const store::Tree& tree) {
  TRY(check_conflicts(tree));
  for (store::TreeWalk walk(tree); walk.next();) {
    if (walk.entry().type != EntryType::kFile) continue;
    const auto pieces = walk.pieces();
    const auto found = here_.find(walk.entry().name);
    if (found != here_.end() && is_same(found->second, walk.entry(), pieces)) continue;
    TRY(check_staged(walk.entry(), pieces));
  }
  TRY(sync());  // bytes are durable before any name shows them
  if (options_.before_placing) TRY(options_.before_placing(tree));
  for (store::TreeWalk walk(tree); walk.next();) {
    const bool is_file = walk.entry().type == EntryType::kFile;
    TRY(place(walk.entry(), is_file ? walk.pieces() : std::vector<store::Piece>()));
  }
  if (options_.remove_others) TRY(remove_others(tree));
  // Modes and times of folders last: what was put into them changed both.
  std::vector<Entry> folders;
  for (store::TreeWalk walk(tree); walk.next();)
    if (walk.entry().type == EntryType::kFolder) folders.push_back(walk.entry());
  for (auto folder = folders.rbegin(); folder != folders.rend(); ++folder)
    TRY(files().set_attributes(folder->name, folder->mode, folder->mtime));
  TRY(files().sync_all());
  TRY(clear_staging());
  leave_no_trace();
  return Published{0, tree.root(), false};
}

// A file or link of ours that is in the way goes, a folder only if it holds nothing but what was
// pulled.
Result<> FolderSink::clear_the_way(const Entry& entry) {
  const auto stat = files().stat(entry.name);
  if (!stat) return stat.error().kind() == Kind::kNotFound ? Result<>() : fail(stat.error());
  const bool folder_here = stat->type == store::FileType::kFolder;
  if (folder_here == (entry.type == EntryType::kFolder)) return {};
  if (!folder_here) return files().remove(entry.name);
  if (!options_.force) TRY(check_all_pulled(entry.name));
  return store::remove_tree(files(), entry.name);
}

// Looked at now: what came into the folder since the walk is somebody's, too.
Result<> FolderSink::check_all_pulled(const TreeName& folder) {
  const Error yours =
      Error(Kind::kExists, "replace " + folder.shown(), "a folder with files of yours stands there")
          .advise(kMoveAway);
  store::ScanOptions everything;
  everything.top = folder;
  everything.ignore_files = false;
  store::Scan scan(files(), everything, nullptr);
  for (;;) {
    const auto items = TRY(scan.next(kScanStep));
    if (items.empty()) break;
    for (const store::ScanItem& item : items) {
      const auto found = here_.find(item.entry.name.under(folder));
      if (found == here_.end() || !is_as_pulled(found->second)) return fail(yours);
      TRY(check_unchanged(found->first));
    }
  }
  return scan.problem_count() == 0 ? Result<>() : fail(yours);
}

Result<> FolderSink::keep(const Entry& entry) {
  const store::FileStat before = TRY(files().stat(entry.name));
  if (before.mode == entry.mode && before.mtime == entry.mtime) return {};
  TRY(files().set_attributes(entry.name, entry.mode, entry.mtime));
  // Its other names are not to look as if somebody had touched them.
  if (before.links > 1) touched_[{before.device, before.inode}] = TRY(files().stat(entry.name));
  return {};
}

Result<> FolderSink::place_link(const Entry& entry) {
  const TreeName beside = TRY(staging().folder().child("link"));
  TRY(store::remove_tree(files(), beside));
  if (entry.type == EntryType::kSymlink) {
    TRY(files().make_link(entry.target, beside));
    return files().rename(beside, entry.name, store::Replace::kYes);
  }
  const TreeName first = TRY(TreeName::parse(entry.target));
  TRY(files().link(first, beside));
  return files().rename(beside, entry.name, store::Replace::kYes);
}

Result<> FolderSink::place(const Entry& entry, std::span<const store::Piece> pieces) {
  const auto found = here_.find(entry.name);
  if (found != here_.end() && is_same(found->second, entry, pieces)) {
    if (entry.type == EntryType::kFile) return keep(entry);
    if (entry.type == EntryType::kSymlink) return {};
  }
  if (entry.type == EntryType::kHardLink) {
    // rename(2) of two names of one file does nothing: there is nothing to do.
    const store::FileStat first = TRY(files().stat(TRY(TreeName::parse(entry.target))));
    const auto old = files().stat(entry.name);
    if (old && old->inode == first.inode && old->device == first.device) return {};
  }
  TRY(check_unchanged(entry.name));
  TRY(clear_the_way(entry));
  switch (entry.type) {
    case EntryType::kFolder: {
      auto made = files().make_folder(entry.name);
      if (!made && made.error().kind() != Kind::kExists) return made;
      return files().set_mode(entry.name, entry.mode | 0700U);  // so that it can be filled
    }
    case EntryType::kFile: {
      const TreeName staged = entry.name.under(staging().tree());
      TRY(files().set_attributes(staged, entry.mode, entry.mtime));
      return files().rename(staged, entry.name, store::Replace::kYes);
    }
    case EntryType::kSymlink:
    case EntryType::kHardLink:
      return place_link(entry);
  }
  return {};
}

Result<> FolderSink::remove_others(const store::Tree& tree) {
  const std::set<TreeName> kept = names_of(tree);
  for (auto it = here_.rbegin(); it != here_.rend(); ++it) {  // what is inside before its folder
    if (kept.contains(it->first)) continue;
    const bool folder = it->second.entry.type == EntryType::kFolder;
    if (!folder) TRY(check_unchanged(it->first));
    const auto gone = folder ? files().remove_folder(it->first) : files().remove(it->first);
    // Somebody put something new into it meanwhile: that stays, and so does the folder.
    if (!gone && gone.error().kind() != Kind::kNotFound && !folder) return gone;
  }
  return {};
}

}  // namespace longhaul::transfer
