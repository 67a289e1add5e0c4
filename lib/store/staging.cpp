#include "lib/store/staging.hpp"

#include <algorithm>

#include "lib/base/assert.hpp"
#include "lib/store/staging_note.hpp"

namespace longhaul::store {
namespace {

constexpr std::size_t kHandlesMax = 64;

}  // namespace

TreeName staging_lock(const TreeName& folder) {
  return folder.parent().child(std::string(folder.last()) + std::string(kStagingLockEnd)).value();
}

Result<std::unique_ptr<Staging>> Staging::open(Files& files, const TreeName& folder) {
  std::unique_ptr<Staging> staging(new Staging(files, folder));
  const TreeName journal = TRY(folder.child("journal"));
  if (const auto tree = files.stat(staging->tree()); !tree) {
    // Nothing is staged, whatever a journal says: its files were published or never were.
    if (tree.error().kind() != Kind::kNotFound) return fail(tree.error());
    TRY(remove_tree(files, journal));
    staging->fresh_ = true;
  }
  TRY(make_folders(files, staging->tree()));
  for (TreeName at = staging->tree(); !at.is_root(); at = at.parent())
    staging->dirty_folders_.insert(at.parent());
  Journal::Opened opened = TRY(Journal::open(files, journal));
  staging->journal_ = std::move(opened.journal);
  std::vector<ByteVector> trusted = std::move(opened.records);
  if (!opened.same_boot) {
    trusted = durable_notes(std::move(trusted));
    trusted.push_back(epoch_note(trusted.size()));
    staging->journal_ = TRY(Journal::rewrite(files, journal, trusted));
  }
  for (const ByteVector& record : trusted) TRY(staging->replay_one(record));
  TRY(staging->meet_disk());
  return staging;
}

TreeName Staging::tree() const {
  return TreeName::known("tree").under(folder_);
}

Staging::StagedFile* Staging::file_at(FileNo no) {
  const bool there = no.value() < staged_.size() && !staged_[no.value()].gone;
  return there ? &staged_[no.value()] : nullptr;
}

bool Staging::overlaps(const StagedFile& file, std::uint64_t offset, std::uint64_t length) {
  const auto ranges = file.ranges.all();
  const auto behind =
      std::upper_bound(ranges.begin(), ranges.end(), offset,
                       [](std::uint64_t at, const Range& range) { return at < range.end(); });
  return behind != ranges.end() && behind->offset < offset + length;
}

void Staging::Ranges::insert(const Range& range) {
  if (!many_ && count() == 0) {
    one_ = range;
    return;
  }
  if (!many_) many_ = std::make_unique<std::vector<Range>>(1, std::exchange(one_, {}));
  const auto at =
      std::upper_bound(many_->begin(), many_->end(), range.offset,
                       [](std::uint64_t offset, const Range& old) { return offset < old.offset; });
  many_->insert(at, range);
}

void Staging::place(StagedFile& file, const Range& range) {
  if (overlaps(file, range.offset, range.length))
    file.ranges.erase_if(
        [&](const Range& old) { return old.offset < range.end() && range.offset < old.end(); });
  file.ranges.insert(range);
}

FileNo Staging::add_record(const TreeName& name, std::uint64_t size) {
  const auto no = static_cast<std::uint32_t>(staged_.size());
  StagedFile file;
  file.name_at = names_.add(name.text()) & 0x7fffffffffffU;
  file.name_bytes = name.text().size() & 0x3fffU;  // at most kPathBytesMax
  file.size = size;
  staged_.push_back(std::move(file));
  const std::hash<std::string_view> hash;
  by_name_.add(hash(name.text()), no,
               [&](std::uint32_t n) { return hash(text_of_name(staged_[n])); });
  return FileNo(no);
}

std::optional<FileNo> Staging::known(const TreeName& name) const {
  const auto no = by_name_.find(std::hash<std::string_view>()(name.text()), [&](std::uint32_t n) {
    return !staged_[n].gone && text_of_name(staged_[n]) == name.text();
  });
  return no ? std::optional(FileNo(*no)) : std::nullopt;
}

tl::unexpected<Error> Staging::break_off(Error error) {
  broken_ = error;
  // What the journal trusts may be lost: without it a resume starts from nothing.
  auto gone = files_.remove(TreeName::known("journal").under(folder_));
  (void)gone.has_value();  // the disk is failing; the first error is the one to tell
  return fail(std::move(error));
}

tl::unexpected<Error> Staging::distrust(Error error) {
  const std::lock_guard lock(mutex_);
  return break_off(std::move(error));
}

Result<FileNo> Staging::add_file(const TreeName& name, std::uint64_t size) {
  if (size > kFileBytesMax) return fail(Kind::kLimit, "stage " + name.shown(), "it is too large");
  const std::lock_guard lock(mutex_);
  if (broken_) return fail(*broken_);
  if (const auto no = known(name)) {
    TRY(resize_file(*no, size));
    return *no;
  }
  if (staged_.size() >= kStagedFilesMax)
    return fail(Kind::kLimit, "stage " + name.shown(), "too many files");
  const FileNo no(static_cast<std::uint32_t>(staged_.size()));
  TRY(journal_->append(file_note(no, name, size)));
  return add_record(name, size);
}

// Not when it is named: thousands are, before the first of their bytes, and each would be opened
// twice.
Result<std::shared_ptr<File>> Staging::create(FileNo no) {
  StagedFile& staged = staged_[no.value()];
  const TreeName path = name_of(staged).under(tree());
  // What is there is of an earlier boot, or shared with a published version by a publish that was
  // cut short: it must not be written to, only replaced.
  auto opened = files_.open(path, Access::kCreate);
  if (!opened && opened.error().kind() == Kind::kNotFound) TRY(make_folders(files_, path.parent()));
  if (!opened && opened.error().kind() == Kind::kExists) TRY(remove_tree(files_, path));
  if (!opened) opened = files_.open(path, Access::kCreate);
  if (!opened) return fail(opened.error());
  const std::shared_ptr<File> file = *std::move(opened);
  TRY(file->resize(staged.size));
  staged.made = staged.dirty = true;
  for (TreeName at = path.parent(); dirty_folders_.insert(at).second && !at.is_root();)
    at = at.parent();
  return file;
}

Result<> Staging::make(FileNo no) {
  const std::lock_guard lock(mutex_);
  if (broken_) return fail(*broken_);
  ASSERT(file_at(no) != nullptr);
  if (!file_at(no)->made) TRY(create(no));
  return {};
}

Result<> Staging::resize_file(FileNo no, std::uint64_t size) {
  StagedFile& file = staged_[no.value()];
  if (file.size == size) return {};
  // The note first, and durable if it gives up chunks: a cut that reached the disk alone would
  // leave the journal naming bytes that are gone.
  TRY(journal_->append(file_note(no, name_of(file), size)));
  const auto cut = file.ranges.erase_if([&](const Range& r) { return r.end() > size; });
  if (cut != 0) {
    auto synced = journal_->sync();
    if (!synced) return break_off(synced.error());
  }
  file.size = size;
  if (!file.made) return {};
  file.dirty = true;
  auto opened = TRY(handle(no));
  return opened->resize(size);
}

Result<std::shared_ptr<File>> Staging::reopen(FileNo no) {
  const TreeName path = name_of(staged_[no.value()]).under(tree());
  auto opened = files_.open(path, Access::kWrite);
  if (!opened && opened.error().kind() == Kind::kPermission) {
    TRY(files_.set_mode(path, 0644));  // a publish that was cut short had made it read-only
    opened = files_.open(path, Access::kWrite);
  }
  if (!opened) return fail(opened.error());
  return std::shared_ptr<File>(*std::move(opened));
}

Result<std::shared_ptr<File>> Staging::handle(FileNo no) {
  if (const auto open = handles_.find(no); open != handles_.end()) return open->second;
  auto file = TRY(staged_[no.value()].made ? reopen(no) : create(no));
  if (handles_.size() >= kHandlesMax) handles_.clear();  // rare enough: writes come in runs
  handles_.emplace(no, file);
  return file;
}

// Bytes that the journal names are about to be overwritten by others: it must stop naming them, and
// durably so, before the first of the new bytes can reach the disk.
Result<> Staging::make_room(const StagedWrite& write) {
  StagedFile& file = staged_[write.place.file.value()];
  if (!overlaps(file, write.place.offset, write.place.length)) return {};
  TRY(journal_->append(void_note(write.place.file, write.place.offset, write.place.length)));
  auto synced = journal_->sync();
  if (!synced) return break_off(synced.error());
  file.ranges.erase_if([&](const Range& old) {
    return old.offset < write.place.offset + write.place.length && write.place.offset < old.end();
  });
  return {};
}

Result<> Staging::write(std::span<const StagedWrite> writes) {
  ByteVector note;
  const auto flush = [&]() -> Result<> {  // with mutex_ held
    if (note.size() > 1) TRY(journal_->append(note));
    note.clear();
    return {};
  };
  std::vector<const StagedWrite*> done;
  for (const StagedWrite& write : writes) {
    const StagedChunk& at = write.place;
    std::shared_ptr<File> file;
    {
      const std::lock_guard lock(mutex_);
      if (broken_) return fail(*broken_);
      const StagedFile* staged = file_at(at.file);
      if (staged == nullptr || at.length == 0 || at.length != write.bytes.size() ||
          at.length > kChunkBytesMax || at.offset > staged->size ||
          at.length > staged->size - at.offset)
        return fail(Kind::kUsage, "stage a chunk", "it lies outside its file");
      if (has(*staged, at)) continue;
      TRY(make_room(write));
      file = TRY(handle(at.file));
    }
    TRY(file->write_at(write.bytes, at.offset));
    done.push_back(&write);
  }
  const std::lock_guard lock(mutex_);
  if (broken_) return fail(*broken_);
  for (const StagedWrite* write : done) {
    add_chunk(note, write->place);
    if (full(note)) TRY(flush());
  }
  TRY(flush());
  for (const StagedWrite* write : done) {
    const StagedChunk& at = write->place;
    StagedFile& file = staged_[at.file.value()];
    file.dirty = true;
    place(file, {at.offset, at.length, false, at.chunk});
    unsynced_bytes_ += at.length;
  }
  return {};
}

// Where one call for the whole disk does not report lost writes: every file, then every folder.
Result<> Staging::sync_each() {
  std::vector<TreeName> files;
  std::set<TreeName> folders;
  {
    const std::lock_guard lock(mutex_);
    for (std::size_t i = 0; i < staged_.size(); ++i) {
      if (staged_[i].dirty && !staged_[i].gone) files.push_back(name_of(staged_[i]).under(tree()));
      staged_[i].dirty = false;
    }
    folders.swap(dirty_folders_);
  }
  for (const TreeName& name : files) {
    auto file = TRY(files_.open(name, Access::kWrite));
    TRY(file->sync());
  }
  for (const TreeName& name : folders) TRY(files_.sync_folder(name));
  return {};
}

Result<> Staging::sync() {
  const std::lock_guard epoch(sync_mutex_);
  std::uint64_t covered = 0, bytes = 0;
  {
    const std::lock_guard lock(mutex_);
    if (broken_) return fail(*broken_);
    covered = journal_->records();
    bytes = unsynced_bytes_;
  }
  auto synced = files_.sync_all_reports() ? files_.sync_all() : sync_each();
  const std::lock_guard lock(mutex_);
  if (!synced) return break_off(synced.error());
  TRY(journal_->append(epoch_note(covered)));
  synced = journal_->sync();
  if (!synced) return break_off(synced.error());
  unsynced_bytes_ -= bytes;
  return {};
}

std::uint64_t Staging::held_bytes() const {
  const std::lock_guard lock(mutex_);
  std::uint64_t bytes = 0;
  for (std::size_t no = 0; no < staged_.size(); ++no)
    for (const Range& range : staged_[no].ranges.all()) bytes += range.length;
  return bytes;
}

std::uint64_t Staging::unsynced_bytes() const {
  const std::lock_guard lock(mutex_);
  return unsynced_bytes_;
}

std::size_t Staging::files_left() const {
  const std::lock_guard lock(mutex_);
  return staged_.size() - gone_;
}

std::vector<StagedChunk> Staging::held() const {
  const std::lock_guard lock(mutex_);
  std::vector<StagedChunk> all;
  for (std::size_t i = 0; i < staged_.size(); ++i)
    for (const Range& range : staged_[i].ranges.all())
      all.push_back(
          {FileNo(static_cast<std::uint32_t>(i)), range.offset, range.length, range.chunk});
  return all;
}

bool Staging::has(const StagedFile& file, const StagedChunk& chunk) {
  const auto ranges = file.ranges.all();
  const auto at = std::lower_bound(
      ranges.begin(), ranges.end(), chunk.offset,
      [](const Range& range, std::uint64_t wanted) { return range.offset < wanted; });
  return at != ranges.end() && at->offset == chunk.offset && at->length == chunk.length &&
         at->chunk == chunk.chunk;
}

bool Staging::holds(const StagedChunk& chunk) const {
  const std::lock_guard lock(mutex_);
  return chunk.file.value() < staged_.size() && has(staged_[chunk.file.value()], chunk);
}

void Staging::forget(StagedFile& file) {
  file.ranges.clear();
  file.gone = true;
  ++gone_;
}

Result<> Staging::give_up(FileNo no) {
  const std::lock_guard lock(mutex_);
  if (broken_) return fail(*broken_);
  StagedFile* file = file_at(no);
  ASSERT(file != nullptr);
  TRY(journal_->append(gone_note(no)));
  auto synced = journal_->sync();
  if (!synced) return break_off(synced.error());
  handles_.erase(no);
  forget(*file);
  return remove_tree(files_, name_of(*file).under(tree()));
}

Result<> Staging::restart(FileNo no) {
  const std::lock_guard lock(mutex_);
  if (broken_) return fail(*broken_);
  StagedFile* known = file_at(no);
  ASSERT(known != nullptr);
  StagedFile& file = *known;
  TRY(journal_->append(void_note(no, 0, kFileBytesMax)));
  auto synced = journal_->sync();
  if (!synced) return break_off(synced.error());
  file.ranges.clear();
  file.dirty = true;
  auto opened = TRY(handle(no));
  TRY(opened->resize(0));
  return opened->resize(file.size);
}

std::optional<FileNo> Staging::find(const TreeName& name) const {
  const std::lock_guard lock(mutex_);
  return known(name);
}

TreeName Staging::name_of(FileNo file) const {
  const std::lock_guard lock(mutex_);
  ASSERT(file.value() < staged_.size());
  return name_of(staged_[file.value()]);
}

Staging::Content Staging::content(FileNo no, std::uint64_t size,
                                  std::span<const Piece> pieces) const {
  const std::lock_guard lock(mutex_);
  if (no.value() >= staged_.size() || staged_[no.value()].gone || staged_[no.value()].size != size)
    return Content::kMissing;
  const auto ranges = staged_[no.value()].ranges.all();
  std::size_t next = 0;
  std::uint64_t offset = 0;
  bool resumed = false;
  for (const Piece& piece : pieces) {
    if (!piece.hole) {
      if (next == ranges.size() || ranges[next].offset != offset ||
          ranges[next].length != piece.length || ranges[next].chunk != piece.chunk)
        return Content::kMissing;
      resumed |= ranges[next++].resumed;
    }
    offset += piece.length;
  }
  if (next != ranges.size() || offset != size) return Content::kMissing;
  return resumed ? Content::kResumed : Content::kWhole;
}

}  // namespace longhaul::store
