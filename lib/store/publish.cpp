#include "lib/store/publish.hpp"

#include <algorithm>

#include "lib/store/scan.hpp"

namespace longhaul::store {
namespace {

constexpr std::size_t kWalkStep = 4096;
constexpr std::uint32_t kWriteBits = 0222;

Result<> remove_if_there(Files& files, const TreeName& name) {
  const auto stat = files.stat(name);
  if (!stat && stat.error().kind() == Kind::kNotFound) return {};
  return remove_tree(files, name);
}

// Fills the staged folder until it holds what the tree says.
class Filler {
 public:
  Filler(const Tree& tree, Staging& staging, const PublishBase* base, bool read_only)
      : tree_(tree),
        staging_(staging),
        files_(staging.files()),
        top_(staging.tree()),
        read_only_(read_only) {
    if (base == nullptr) return;
    base_folder_ = base->folder;
    base_.emplace(base->tree);
    base_left_ = base_->next();
  }

  Result<> fill() {
    for (TreeWalk walk(tree_); walk.next();) TRY(fill_one(walk));
    return {};
  }

  // Whatever else lies there came from an attempt whose source looked otherwise.
  Result<> remove_strangers() {
    if (staging_.is_fresh() && staging_.files_left() == staged_) return {};  // there is nothing
    ScanOptions options;
    options.top = top_;
    options.ignore_files = false;
    Scan scan(files_, options, nullptr);
    std::vector<TreeName> strangers;
    TreeWalk walk(tree_);
    bool left = walk.next();
    for (;;) {
      const auto items = TRY(scan.next(kWalkStep));
      if (items.empty()) break;
      for (const ScanItem& item : items) {
        while (left && walk.entry().name < item.entry.name) left = walk.next();
        const bool known = left && walk.entry().name == item.entry.name;
        const bool inside = !strangers.empty() && item.entry.name.is_within(strangers.back());
        if (!known && !inside) strangers.push_back(item.entry.name);
        if (known && walk.entry().type == EntryType::kFile && item.seen.size != walk.entry().size)
          return fail(Kind::kIntegrity, "publish " + item.entry.name.shown(), "its size is wrong");
      }
    }
    for (const TreeName& name : strangers) {
      if (const auto no = staging_.find(name)) TRY(staging_.give_up(*no));
      TRY(remove_tree(files_, name.under(top_)));
    }
    return {};
  }

  // From the deepest up: making an entry in a folder changes its time.
  Result<> finish_folders() {
    std::vector<Entry> folders;
    for (TreeWalk walk(tree_); walk.next();)
      if (walk.entry().type == EntryType::kFolder) folders.push_back(walk.entry());
    for (auto folder = folders.rbegin(); folder != folders.rend(); ++folder)
      TRY(files_.set_attributes(folder->name.under(top_), mode_of(*folder), folder->mtime));
    return {};
  }

  Result<> sync() {
    if (files_.sync_all_reports()) return files_.sync_all();
    for (TreeWalk walk(tree_); walk.next();) {
      const TreeName name = walk.entry().name.under(top_);
      if (walk.entry().type == EntryType::kFolder) TRY(files_.sync_folder(name));
      if (walk.entry().type != EntryType::kFile) continue;
      auto file = TRY(files_.open(name, Access::kRead));
      TRY(file->sync());
    }
    return files_.sync_folder(top_);
  }

 private:
  std::uint32_t mode_of(const Entry& entry) const {
    return read_only_ ? entry.mode & ~kWriteBits : entry.mode;
  }

  Result<> fill_one(const TreeWalk& walk) {
    const Entry& entry = walk.entry();
    if (entry.type == EntryType::kFile) return fill_file(walk);
    const TreeName name = entry.name.under(top_);
    const auto there = files_.stat(name);
    if (!there && there.error().kind() != Kind::kNotFound) return fail(there.error());
    switch (entry.type) {
      case EntryType::kFolder:
        if (there && there->type == FileType::kFolder) {
          // Read-only: left by a publish that was cut short.
          return (there->mode & 0300U) == 0300U ? Result<>() : files_.set_mode(name, 0755);
        }
        TRY(remove_if_there(files_, name));
        return files_.make_folder(name);
      case EntryType::kSymlink:
        if (there) TRY(give_up(entry.name));
        return files_.make_link(entry.target, name);
      case EntryType::kHardLink: {
        if (there) TRY(give_up(entry.name));
        const TreeName first = TRY(TreeName::parse(entry.target));
        auto linked = files_.link(first.under(top_), name);
        if (linked || linked.error().kind() != Kind::kUnsupported) return linked;
        return copy(first.under(top_), name);  // a file system without hard links
      }
      case EntryType::kFile:
        break;
    }
    return {};
  }

  Result<> fill_file(const TreeWalk& walk) {
    const Entry& entry = walk.entry();
    const TreeName name = entry.name.under(top_);
    const auto pieces = walk.pieces();
    const auto no = staging_.find(entry.name);
    const auto content =
        no ? staging_.content(*no, entry.size, pieces) : Staging::Content::kMissing;
    if (content != Staging::Content::kMissing) ++staged_;
    if (content == Staging::Content::kMissing) {
      const bool empty = std::all_of(pieces.begin(), pieces.end(), [](auto& p) { return p.hole; });
      TRY(give_up(entry.name));
      if (empty) {
        auto file = TRY(files_.open(name, Access::kCreate));
        TRY(file->resize(entry.size));
      } else {
        const auto shared = TRY(share(walk));
        if (shared == Shared::kWithAttributes) return {};
      }
    }
    if (content == Staging::Content::kWhole) TRY(staging_.make(*no));  // of holes, maybe
    if (content == Staging::Content::kResumed) TRY(check(*no, entry, pieces));
    return files_.set_attributes(name, mode_of(entry), entry.mtime);
  }

  Result<> give_up(const TreeName& name) {
    if (const auto no = staging_.find(name)) TRY(staging_.give_up(*no));
    return remove_if_there(files_, name.under(top_));
  }

  enum class Shared : std::uint8_t { kContent, kWithAttributes };
  // The same file of the base version. Its folder is immutable, so a hard link is as good as a copy
  // if nothing about the file differs.
  Result<Shared> share(const TreeWalk& walk) {
    const Entry& entry = walk.entry();
    while (base_left_ && base_->entry().name < entry.name) base_left_ = base_->next();
    const bool found = base_left_ && base_->entry().name == entry.name &&
                       base_->entry().type == EntryType::kFile &&
                       equal(base_->piece_bytes(), walk.piece_bytes());
    if (!found)
      return fail(Kind::kNotFound, "publish " + entry.name.shown(), "its content is not here");
    const TreeName from = entry.name.under(base_folder_), to = entry.name.under(top_);
    const auto stat = TRY(files_.stat(from));
    if (stat.type != FileType::kFile || stat.size != entry.size)
      return fail(Kind::kIntegrity, "share " + from.shown(), "it is not as its manifest says");
    const auto cloned = files_.reflink(from, to);
    if (cloned) return Shared::kContent;
    if (cloned.error().kind() != Kind::kUnsupported) return fail(cloned.error());
    if (stat.mode == mode_of(entry) && stat.mtime == entry.mtime) {
      const auto linked = files_.link(from, to);
      if (linked) return Shared::kWithAttributes;
      if (linked.error().kind() != Kind::kUnsupported) return fail(linked.error());
    }
    TRY(copy(from, to));
    TRY(check_file(to, walk.pieces()));
    return Shared::kContent;
  }

  Result<> copy(const TreeName& from, const TreeName& to) {
    auto source = TRY(files_.open(from, Access::kRead));
    auto target = TRY(files_.open(to, Access::kCreate));
    const FileStat stat = TRY(source->stat());
    TRY(target->resize(stat.size));
    ByteVector buffer(kChunkBytesMax);
    for (std::uint64_t at = 0; at < stat.size;) {
      const std::optional<Extent> data = TRY(source->next_data(at));
      if (!data) break;
      for (at = data->offset; at < data->end();) {
        const auto most = std::min<std::uint64_t>(buffer.size(), data->end() - at);
        const std::size_t got =
            TRY(source->read_at(MutableBytes(buffer).first(static_cast<std::size_t>(most)), at));
        if (got == 0) return fail(Kind::kChanged, "copy " + from.shown(), "it shrank");
        TRY(target->write_at(Bytes(buffer).first(got), at));
        at += got;
      }
    }
    return {};
  }

  Result<> check_file(const TreeName& name, const std::vector<Piece>& pieces) {
    auto file = TRY(files_.open(name, Access::kRead));
    ByteVector bytes(kChunkBytesMax);
    std::uint64_t offset = 0;
    for (const Piece& piece : pieces) {
      if (!piece.hole) {
        const MutableBytes out = MutableBytes(bytes).first(static_cast<std::size_t>(piece.length));
        const std::size_t got = TRY(file->read_at(out, offset));
        if (got != piece.length || crypto::sha256(Bytes(out)) != piece.chunk)
          return fail(Kind::kIntegrity, "publish " + name.shown(),
                      "its bytes are not what was sent");
      }
      offset += piece.length;
    }
    return {};
  }

  Result<> check(FileNo no, const Entry& entry, const std::vector<Piece>& pieces) {
    auto checked = check_file(entry.name.under(top_), pieces);
    if (!checked && checked.error().kind() == Kind::kIntegrity) TRY(staging_.restart(no));
    return checked;
  }

  const Tree& tree_;
  Staging& staging_;
  Files& files_;
  const TreeName top_;
  const bool read_only_;
  TreeName base_folder_;
  std::optional<TreeWalk> base_;
  bool base_left_ = false;
  std::size_t staged_ = 0;  // files of the tree that were staged
};

}  // namespace

Result<> prepare(const Tree& tree, Staging& staging, const PublishBase* base, bool read_only) {
  Filler filler(tree, staging, base, read_only);
  TRY(filler.fill());
  TRY(filler.remove_strangers());
  TRY(filler.finish_folders());
  auto synced = filler.sync();
  if (!synced) return staging.distrust(synced.error());
  return {};
}

Result<> index_tree(ChunkIndex& index, const Tree& tree, const TreeName& folder) {
  for (TreeWalk walk(tree); walk.next();)
    if (walk.entry().type == EntryType::kFile)
      TRY(index.add(walk.entry().name.under(folder), walk.pieces()));
  return index.flush();
}

Result<Published> publish(Root& root, const DatasetName& dataset, const Tree& tree,
                          Staging& staging, const PublishBase* base, ChunkIndex* index) {
  TRY(root.make_room(dataset));
  TRY(prepare(tree, staging, base, true));
  const VersionNo version = TRY(root.commit(dataset, tree, staging.tree()));
  // Published. What is left over is only untidy: the next open of the root clears it.
  (void)remove_tree(root.files(), staging.folder());
  if (index != nullptr) (void)index_tree(*index, tree, Root::folder_of(dataset, version));
  return Published{version, tree.root()};
}

}  // namespace longhaul::store
