#include "lib/store/audit.hpp"

#include <algorithm>

#include "lib/store/publish.hpp"

namespace longhaul::store {
namespace {

tl::unexpected<Error> found_wrong(const Entry& entry, const char* why) {
  return fail(Kind::kIntegrity, "verify " + entry.name.shown(), why);
}

}  // namespace

Audit::Audit(Files& files, const Tree& tree, TreeName folder, Sum sum)
    : files_(files), walk_(tree), folder_(std::move(folder)), sum_(std::move(sum)) {}

void Audit::note(Result<> result) {
  if (result) return;
  file_.reset();
  flat_left_ = 0;
  ++damaged_;
  if (damage_.size() < kDamageMax) damage_.push_back({walk_.entry().name, result.error()});
}

Result<> Audit::begin_hard_link() {
  const Entry& entry = walk_.entry();
  const TreeName first = TRY(TreeName::parse(entry.target));
  const FileStat here = TRY(files_.stat(entry.name.under(folder_)));
  const FileStat there = TRY(files_.stat(first.under(folder_)));
  // Where the file system has no hard links they are copies; then at least the size must be right.
  if (here.type != FileType::kFile || here.size != there.size)
    return found_wrong(entry, "it is not the file it should share");
  if (!sum_) return {};
  file_ = TRY(files_.open(entry.name.under(folder_), Access::kRead));
  pieces_.clear();
  next_piece_ = 0;
  offset_ = 0;
  flat_left_ = here.size;
  (void)flat_.finish();
  return {};
}

// Of a hard link: its bytes were compared under its first name.
Result<> Audit::read_flat() {
  buffer_.resize(static_cast<std::size_t>(std::min<std::uint64_t>(flat_left_, kChunkBytesMax)));
  const std::size_t got = TRY(file_->read_at(buffer_, offset_));
  if (got != buffer_.size()) return found_wrong(walk_.entry(), "it is too short");
  flat_.update(Bytes(buffer_));
  offset_ += got;
  flat_left_ -= got;
  bytes_read_ += got;
  return {};
}

Result<> Audit::begin() {
  const Entry& entry = walk_.entry();
  const TreeName name = entry.name.under(folder_);
  const FileStat stat = TRY(files_.stat(name));
  switch (entry.type) {
    case EntryType::kFolder:
      if (stat.type != FileType::kFolder) return found_wrong(entry, "it is no folder");
      return {};
    case EntryType::kSymlink: {
      const std::string target = TRY(files_.read_link(name));
      if (target != entry.target) return found_wrong(entry, "the link points elsewhere");
      return {};
    }
    case EntryType::kHardLink:
      return begin_hard_link();
    case EntryType::kFile:
      break;
  }
  if (stat.type != FileType::kFile) return found_wrong(entry, "it is no file");
  if (stat.size != entry.size) return found_wrong(entry, "its size is wrong");
  file_ = TRY(files_.open(name, Access::kRead));
  pieces_ = walk_.pieces();
  next_piece_ = 0;
  offset_ = 0;
  if (sum_) (void)flat_.finish();  // starts anew, whatever a damaged file had left
  return {};
}

Result<> Audit::read_piece() {
  const Piece& piece = pieces_[next_piece_];
  // A hole is read too: a byte that found its way there is damage.
  const std::uint64_t done_before = offset_;
  const bool hole = piece.hole;
  crypto::Sha256 hash;
  for (std::uint64_t left = piece.length; left > 0;) {
    buffer_.resize(static_cast<std::size_t>(std::min<std::uint64_t>(left, kChunkBytesMax)));
    const std::size_t got = TRY(file_->read_at(buffer_, offset_));
    if (got != buffer_.size()) return found_wrong(walk_.entry(), "it is too short");
    if (hole &&
        std::any_of(buffer_.begin(), buffer_.end(), [](std::byte b) { return b != std::byte{0}; }))
      return found_wrong(walk_.entry(), "there are bytes where a hole should be");
    if (!hole) hash.update(Bytes(buffer_));
    if (sum_) flat_.update(Bytes(buffer_));
    offset_ += got;
    left -= got;
  }
  bytes_read_ += offset_ - done_before;
  if (!hole && hash.finish() != piece.chunk)
    return found_wrong(walk_.entry(), "its bytes are damaged");
  ++next_piece_;
  return {};
}

void Audit::end_file() {
  file_.reset();
  if (sum_) sum_(walk_.entry().name, flat_.finish());
}

Audit::Progress Audit::step(std::uint64_t most) {
  constexpr std::uint64_t kEntryCost = 4096;  // so that a step of empty files ends, too
  std::uint64_t done = 0;
  while (done < most) {
    if (file_ == nullptr) {
      if (!walk_.next()) return Progress::kDone;
      done += kEntryCost;
      note(begin());
    } else if (next_piece_ < pieces_.size()) {
      done += pieces_[next_piece_].length;
      note(read_piece());
    } else if (flat_left_ > 0) {
      done += std::min<std::uint64_t>(flat_left_, kChunkBytesMax);
      note(read_flat());
    }
    if (file_ != nullptr && next_piece_ == pieces_.size() && flat_left_ == 0) end_file();
  }
  return Progress::kMore;
}

Result<Rebuilt> rebuild_index(Root& root, ChunkIndex& index) {
  Rebuilt rebuilt;
  TRY(index.clear());
  const auto datasets = TRY(root.datasets());
  for (const DatasetName& dataset : datasets) {
    const auto versions = TRY(root.versions(dataset));
    for (const VersionNo version : versions) {
      const auto tree = root.tree(dataset, version);
      if (!tree && tree.error().kind() == Kind::kNotFound) continue;
      if (!tree) {
        rebuilt.unreadable.push_back({Root::manifest_of(dataset, version), tree.error()});
        continue;
      }
      TRY(index_tree(index, *tree, Root::folder_of(dataset, version)));
      ++rebuilt.versions;
      rebuilt.files += tree->totals().files;
    }
  }
  TRY(index.finish_rebuild());
  return rebuilt;
}

}  // namespace longhaul::store
