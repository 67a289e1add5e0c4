#include "lib/store/scan.hpp"

#include <algorithm>
#include <set>

#include "lib/base/assert.hpp"

namespace longhaul::store {
namespace {

constexpr std::size_t kListStep = 4096;
constexpr std::size_t kPiecesPerStep = 100'000;

bool before(const Found& a, const Found& b) {
  return a.name < b.name;
}

}  // namespace

Scan::Scan(Files& files, ScanOptions options, ScanCacheReader* cache)
    : files_(files), options_(std::move(options)), cache_(cache) {
  if (options_.only) std::sort(options_.only->begin(), options_.only->end());
}

void Scan::problem(const TreeName& name, Error error) {
  ++problem_count_;
  if (problems_.size() < kProblemsMax) problems_.push_back({name, std::move(error)});
}

Result<> Scan::enter(const TreeName& name) {
  auto folder = TRY(files_.open_folder(name.under(options_.top)));
  Level level;
  level.name = name;
  level.rules = folder_rules_.count();
  for (;;) {
    auto found = TRY(folder->next(kListStep));
    if (found.empty()) break;
    std::move(found.begin(), found.end(), std::back_inserter(level.found));
  }
  std::sort(level.found.rbegin(), level.found.rend(), before);
  const bool has_rules = options_.ignore_files &&
                         std::any_of(level.found.begin(), level.found.end(), [](const Found& f) {
                           return f.name == kIgnoreFile && f.stat.type == FileType::kFile;
                         });
  levels_.push_back(std::move(level));
  if (has_rules) read_rules(name);
  return {};
}

void Scan::read_rules(const TreeName& folder) {
  const auto name = folder.child(kIgnoreFile);
  if (!name) return problem(folder, name.error());
  const auto lines = read_whole(files_, name->under(options_.top), kIgnoreBytesMax);
  if (!lines) return problem(*name, lines.error());
  const auto added = folder_rules_.add(text_of(*lines), folder);
  if (!added) problem(*name, added.error());
}

bool Scan::is_wanted(const TreeName& name, bool is_folder) const {
  auto verdict = options_.rules.judge(name, is_folder);
  if (verdict == IgnoreRules::Verdict::kNone) verdict = folder_rules_.judge(name, is_folder);
  if (verdict == IgnoreRules::Verdict::kExcluded) return false;
  if (!options_.only) return true;
  const auto& only = *options_.only;
  const auto at = std::lower_bound(only.begin(), only.end(), name);
  if (at != only.end() && (*at == name || (is_folder && at->is_within(name)))) return true;
  for (TreeName up = name.parent(); !up.is_root(); up = up.parent())
    if (std::binary_search(only.begin(), only.end(), up)) return true;
  return false;
}

std::optional<ScanItem> Scan::look_at(const Found& found) {
  auto name = levels_.back().name.child(found.name);
  if (!name) {
    problem(levels_.back().name, name.error());
    return std::nullopt;
  }
  const bool is_folder = found.stat.type == FileType::kFolder;
  if (!is_wanted(*name, is_folder)) return std::nullopt;
  ScanItem item;
  item.entry.name = *std::move(name);
  item.seen = found.stat;
  switch (found.stat.type) {
    case FileType::kFolder: {
      item.entry.type = EntryType::kFolder;
      item.entry.mode = found.stat.mode & kModeMask;
      item.entry.mtime = found.stat.mtime;
      const auto entered = enter(item.entry.name);
      if (entered) return item;
      problem(item.entry.name, entered.error());
      return std::nullopt;
    }
    case FileType::kFile:
      return look_at_file(std::move(item));
    case FileType::kLink:
      return look_at_link(std::move(item));
    case FileType::kOther:
      break;
  }
  problem(item.entry.name, Error(Kind::kUnsupported, "send " + item.entry.name.shown(),
                                 "it is a device, socket or fifo"));
  return std::nullopt;
}

// A file that may not be read is left out like a folder, and does not end the push later. Tried
// only where the mode leaves it open: it costs an open.
Result<> Scan::check_readable(const ScanItem& item) {
  constexpr std::uint32_t kAllMayRead = 0444;
  if ((item.seen.mode & kAllMayRead) == kAllMayRead) return {};
  const auto file = files_.open(item.entry.name.under(options_.top), Access::kRead);
  if (file || file.error().kind() != Kind::kPermission) return {};
  return fail(file.error());
}

std::optional<ScanItem> Scan::look_at_file(ScanItem item) {
  const auto key = std::pair(item.seen.device, item.seen.inode);
  if (item.seen.links > 1) {
    const auto [first, is_new] = first_names_.emplace(key, item.entry.name);
    if (!is_new) {
      item.entry.type = EntryType::kHardLink;
      item.entry.target = first->second.text();
      return item;
    }
  }
  item.entry.type = EntryType::kFile;
  item.entry.mode = item.seen.mode & kModeMask;
  item.entry.mtime = item.seen.mtime;
  item.entry.size = item.seen.size;
  item.known = item.seen.size == 0;
  if (item.known) return item;
  if (cache_ != nullptr) {
    auto pieces = cache_->find(item.entry.name, item.seen);
    if (pieces) {
      item.known = true;
      item.pieces = *std::move(pieces);
      return item;
    }
  }
  if (const auto readable = check_readable(item); !readable) {
    first_names_.erase(key);
    problem(item.entry.name, readable.error());
    return std::nullopt;
  }
  return item;
}

std::optional<ScanItem> Scan::look_at_link(ScanItem item) {
  item.entry.type = EntryType::kSymlink;
  auto target = files_.read_link(item.entry.name.under(options_.top));
  if (!target) {
    problem(item.entry.name, target.error());
    return std::nullopt;
  }
  const auto fine = judge_link_target(*target, item.entry.name);
  if (!fine) {
    problem(item.entry.name, fine.error());
    return std::nullopt;
  }
  item.entry.target = *std::move(target);
  return item;
}

Result<std::vector<ScanItem>> Scan::next(std::size_t most) {
  if (!started_) {
    started_ = true;
    TRY(enter(TreeName()));
  }
  std::vector<ScanItem> items;
  std::size_t pieces = 0;
  while (items.size() < most && pieces < kPiecesPerStep && !levels_.empty()) {
    Level& level = levels_.back();
    if (level.found.empty()) {
      folder_rules_.shrink_to(level.rules);
      levels_.pop_back();
      continue;
    }
    const Found found = std::move(level.found.back());
    level.found.pop_back();
    auto item = look_at(found);  // may open a level: `level` is not to be used any more
    if (!item) continue;
    pieces += item->pieces.size();
    items.push_back(*std::move(item));
  }
  return items;
}

namespace {

// Up to three tries at a file that will not hold still.
Result<std::vector<Piece>> hash_file(Files& files, const TreeName& top, ScanItem& item) {
  constexpr int kTries = 3;
  constexpr std::uint64_t kStep = 64U << 20;
  const TreeName name = item.entry.name.under(top);
  for (int tried = 1;; ++tried) {
    std::vector<Piece> pieces;
    const auto hash = [&]() -> Result<> {
      FileHasher hasher = TRY(FileHasher::open(files, name, item.seen));
      while (TRY(hasher.step(kStep, pieces)) == FileHasher::Progress::kMore) {
      }
      return {};
    };
    const auto hashed = hash();
    if (hashed) return pieces;
    if (hashed.error().kind() != Kind::kChanged || tried == kTries) return fail(hashed.error());
    item.seen = TRY(files.stat(name));
    item.entry.mode = item.seen.mode & kModeMask;
    item.entry.mtime = item.seen.mtime;
    item.entry.size = item.seen.size;
  }
}

}  // namespace

Result<ScannedTree> scan_tree(Files& files, const ScanOptions& options, const CachePlace& cache) {
  std::optional<ScanCacheReader> reader;
  std::optional<ScanCacheWriter> writer;
  if (cache.state != nullptr) {
    reader = ScanCacheReader::open(*cache.state, cache.file);
    writer = TRY(ScanCacheWriter::open(*cache.state, cache.file, cache.now));
  }
  Scan scan(files, options, reader ? &*reader : nullptr);
  TreeBuilder builder;
  ScannedTree result;
  std::vector<ScanProblem> unread;
  std::set<std::string> lost;  // files left out: hard links to them have nothing to name
  for (;;) {
    auto items = TRY(scan.next(kListStep));
    if (items.empty()) break;
    for (ScanItem& item : items) {
      if (item.entry.type == EntryType::kHardLink && lost.contains(item.entry.target)) {
        unread.push_back({item.entry.name, Error(Kind::kChanged, "send " + item.entry.name.shown(),
                                                 "the file it shares could not be read")});
        continue;
      }
      if (item.entry.type == EntryType::kFile && !item.known) {
        auto pieces = hash_file(files, options.top, item);
        if (!pieces) {
          lost.insert(item.entry.name.text());
          unread.push_back({item.entry.name, pieces.error()});
          continue;
        }
        item.pieces = *std::move(pieces);
        result.bytes_read += item.entry.size;
      }
      TRY(builder.add(item.entry, item.pieces));
      if (writer && item.entry.type == EntryType::kFile)
        TRY(writer->add(item.entry.name, item.seen, item.pieces));
    }
  }
  if (writer) TRY(writer->finish());
  result.tree = TRY(builder.finish());
  result.problems = scan.problems();
  result.problem_count = scan.problem_count() + unread.size();
  std::move(unread.begin(), unread.end(), std::back_inserter(result.problems));
  return result;
}

}  // namespace longhaul::store
