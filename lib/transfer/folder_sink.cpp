#include "lib/transfer/folder_sink.hpp"

#include <set>

namespace longhaul::transfer {

using store::Entry;
using store::EntryType;
using store::TreeName;

namespace {
const char* const kOwn = ".longhaul";
constexpr std::size_t kScanStep = 1000;

bool same_kind(EntryType a, EntryType b) {
  const auto plain = [](EntryType t) { return t == EntryType::kHardLink ? EntryType::kFile : t; };
  return plain(a) == plain(b);
}
}  // namespace

FolderSink::FolderSink(std::shared_ptr<store::Files> files, std::string_view dataset,
                       FolderOptions options)
    : StagedSink(std::move(files), staging_folder("pull " + std::string(dataset))),
      options_(std::move(options)) {
  if (!options_.pulled) return;
  for (store::TreeWalk walk(*options_.pulled); walk.next();) {
    const bool is_file = walk.entry().type == EntryType::kFile;
    pulled_.emplace(walk.entry().name,
                    std::pair(walk.entry(), is_file ? walk.pieces() : std::vector<store::Piece>()));
  }
}

// What stands in the folder: to take bytes from, and to know at the end what was touched meanwhile.
Result<Sink::Opened> FolderSink::prepare(const wire::Offer& offer) {
  store::Scan scan(files(), {}, nullptr);
  for (;;) {
    auto items = TRY(scan.next(kScanStep));
    if (items.empty()) break;
    for (store::ScanItem& item : items) {
      if (item.entry.name.is_within(TreeName::known(kOwn))) continue;
      Here here{std::move(item.entry), item.seen, {}};
      if (here.entry.type == EntryType::kFile) {
        auto hasher = TRY(store::FileHasher::open(files(), here.entry.name, here.seen));
        while (TRY(hasher.step(4U << 20, here.pieces)) == store::FileHasher::Progress::kMore) {
        }
        std::uint64_t offset = 0;
        for (const store::Piece& piece : here.pieces) {
          if (!piece.hole) local_.emplace(piece.chunk, LocalPlace{here.entry.name, offset});
          offset += piece.length;
        }
      }
      const TreeName name = here.entry.name;
      here_.emplace(name, std::move(here));
    }
  }
  Opened opened;
  if (options_.pulled && offer.base && options_.pulled->root() == *offer.base)
    opened.base = options_.pulled;
  return opened;
}

std::optional<LocalPlace> FolderSink::find_local(const store::ChunkId& chunk) {
  const auto found = local_.find(chunk);
  if (found == local_.end()) return std::nullopt;
  return found->second;
}

bool FolderSink::is_same(const Here& here, const Entry& entry,
                         std::span<const store::Piece> pieces) const {
  if (!same_kind(here.entry.type, entry.type)) return false;
  if (entry.type == EntryType::kFolder) return true;
  if (entry.type == EntryType::kSymlink) return here.entry.target == entry.target;
  if (entry.type == EntryType::kHardLink)
    return false;  // made anew: cheap, and then surely one file
  return here.entry.type == EntryType::kFile && here.entry.size == entry.size &&
         std::equal(here.pieces.begin(), here.pieces.end(), pieces.begin(), pieces.end());
}

bool FolderSink::is_as_pulled(const Here& here) const {
  const auto found = pulled_.find(here.entry.name);
  if (found == pulled_.end()) return false;
  const auto& [entry, pieces] = found->second;
  if (here.entry.type == EntryType::kHardLink || entry.type == EntryType::kHardLink)
    return same_kind(here.entry.type, entry.type);
  return is_same(here, entry, pieces);
}

Result<> FolderSink::check_conflicts(const store::Tree& tree) {
  if (options_.force) return {};
  std::uint64_t count = 0;
  std::string first;
  for (store::TreeWalk walk(tree); walk.next();) {
    const auto found = here_.find(walk.entry().name);
    if (found == here_.end()) continue;
    const Here& here = found->second;
    const bool is_file = walk.entry().type == EntryType::kFile;
    if (is_same(here, walk.entry(), is_file ? walk.pieces() : std::vector<store::Piece>()))
      continue;
    if (is_as_pulled(here)) continue;
    if (count++ == 0) first = walk.entry().name.shown();
  }
  if (count == 0) return {};
  return fail(
      Kind::kExists, "replace " + first,
      (count > 1 ? "it and " + std::to_string(count - 1) + " more were" : std::string("it was")) +
          " changed here; nothing was touched. Move them away or use --force");
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
  return Published{0, tree.root()};
}

// A file or link of ours that is in the way goes, a folder only if it holds nothing but what was
// pulled.
Result<> FolderSink::clear_the_way(const Entry& entry) {
  const auto stat = files().stat(entry.name);
  if (!stat) return stat.error().kind() == Kind::kNotFound ? Result<>() : fail(stat.error());
  const bool folder_here = stat->type == store::FileType::kFolder;
  if (folder_here == (entry.type == EntryType::kFolder)) return {};
  if (folder_here && !options_.force) {
    for (auto below = here_.lower_bound(entry.name); below != here_.end(); ++below) {
      if (!below->first.is_within(entry.name)) break;
      if (!is_as_pulled(below->second))
        return fail(Kind::kExists, "replace " + entry.name.shown(),
                    "a folder with files of yours stands there. Move it away or use --force");
    }
  }
  return folder_here ? store::remove_tree(files(), entry.name) : files().remove(entry.name);
}

Result<> FolderSink::place(const Entry& entry, std::span<const store::Piece> pieces) {
  TRY(clear_the_way(entry));
  const auto found = here_.find(entry.name);
  const bool same = found != here_.end() && is_same(found->second, entry, pieces);
  switch (entry.type) {
    case EntryType::kFolder: {
      auto made = files().make_folder(entry.name);
      if (!made && made.error().kind() != Kind::kExists) return made;
      return files().set_mode(entry.name, entry.mode | 0700U);  // so that it can be filled
    }
    case EntryType::kFile: {
      if (same) return files().set_attributes(entry.name, entry.mode, entry.mtime);
      const TreeName staged = entry.name.under(staging().tree());
      TRY(files().set_attributes(staged, entry.mode, entry.mtime));
      return files().rename(staged, entry.name, store::Replace::kYes);
    }
    case EntryType::kSymlink:
    case EntryType::kHardLink: {
      if (same) return {};
      const TreeName beside = TRY(staging().folder().child("link"));
      TRY(store::remove_tree(files(), beside));
      if (entry.type == EntryType::kSymlink) {
        TRY(files().make_link(entry.target, beside));
      } else {
        const TreeName first = TRY(TreeName::parse(entry.target));
        TRY(files().link(first, beside));
        // rename(2) of two names of one file does nothing: the old name must go first.
        const auto old = files().stat(entry.name);
        if (old && old->inode == TRY(files().stat(beside)).inode) return files().remove(beside);
      }
      return files().rename(beside, entry.name, store::Replace::kYes);
    }
  }
  return {};
}

Result<> FolderSink::remove_others(const store::Tree& tree) {
  std::set<TreeName> kept;
  for (store::TreeWalk walk(tree); walk.next();) kept.insert(walk.entry().name);
  for (auto it = here_.rbegin(); it != here_.rend(); ++it) {  // what is inside before its folder
    if (kept.contains(it->first)) continue;
    const bool folder = it->second.entry.type == EntryType::kFolder;
    const auto gone = folder ? files().remove_folder(it->first) : files().remove(it->first);
    // Somebody put something new into it meanwhile: that stays, and so does the folder.
    if (!gone && gone.error().kind() != Kind::kNotFound && !folder) return gone;
  }
  return {};
}

}  // namespace longhaul::transfer
