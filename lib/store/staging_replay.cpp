// A staging's journal, read back: each note does again what it once told of. What cannot have been
// written by Staging is damage, and the error says so.
#include <algorithm>

#include "lib/store/staging.hpp"
#include "lib/store/staging_note.hpp"

namespace longhaul::store {
namespace {

tl::unexpected<Error> bad_record() {
  return fail(Kind::kMalformed, "resume a transfer", "its journal says what cannot be");
}

}  // namespace

// A transfer that was cut short while it published has moved files away that the journal still
// names; one that was cut short between a note and its deed has left a file with another size.
Result<> Staging::meet_disk() {
  bool forgot = false;
  for (std::size_t i = 0; i < staged_.size(); ++i) {
    StagedFile& file = staged_[i];
    if (file.gone) continue;
    const FileNo no(static_cast<std::uint32_t>(i));
    const auto stat = files_.stat(name_of(file).under(tree()));
    if (stat && stat->type == FileType::kFile) {
      file.made = file.dirty = true;
      if (stat->size == file.size) continue;
      auto opened = TRY(handle(no));
      TRY(opened->resize(file.size));
      continue;
    }
    if (!stat && stat.error().kind() != Kind::kNotFound) return fail(stat.error());
    TRY(journal_->append(gone_note(no)));
    forget(file);
    forgot = true;
  }
  return forgot ? journal_->sync() : Result<>();
}

Result<> Staging::replay_one(Bytes record) {
  if (record.empty()) return bad_record();
  const auto note = static_cast<Note>(record[0]);
  record = record.subspan(1);
  switch (note) {
    case Note::kFile:
      return replay_file(record);
    case Note::kChunks:
      return replay_chunks(record);
    case Note::kVoid:
      return replay_void(record);
    case Note::kEpoch:
      return {};
    case Note::kGone: {
      if (record.size() != 4) return bad_record();
      StagedFile* file = file_at(FileNo(load_le<std::uint32_t>(record)));
      if (file == nullptr) return bad_record();
      forget(*file);
      return {};
    }
  }
  return bad_record();
}

Result<> Staging::replay_file(Bytes record) {
  if (record.size() < 12) return bad_record();
  const FileNo no(load_le<std::uint32_t>(record));
  const auto size = load_le<std::uint64_t>(record.subspan(4));
  const TreeName name = TRY(TreeName::parse(text_of(record.subspan(12))));
  if (no.value() > staged_.size() || size > kFileBytesMax) return bad_record();
  if (no.value() == staged_.size()) add_record(name, size);
  StagedFile* file = file_at(no);
  if (file == nullptr) return bad_record();
  file->size = size;
  file->ranges.erase_if([&](const Range& range) { return range.end() > size; });
  return {};
}

Result<> Staging::replay_chunks(Bytes record) {
  if (record.size() % kChunkNoteBytes != 0) return bad_record();
  for (; !record.empty(); record = record.subspan(kChunkNoteBytes)) {
    StagedFile* file = file_at(FileNo(load_le<std::uint32_t>(record)));
    Range range{load_le<std::uint64_t>(record.subspan(4)),
                load_le<std::uint32_t>(record.subspan(12)),
                true,
                {}};
    std::copy_n(record.subspan(16).begin(), crypto::Digest::kSize, range.chunk.writable().begin());
    // A file that was cut later may have chunks noted behind its end; they are gone.
    if (file == nullptr || range.length == 0 || range.length > kChunkBytesMax) return bad_record();
    if (range.offset > file->size || range.end() > file->size) continue;
    place(*file, range);
  }
  return {};
}

Result<> Staging::replay_void(Bytes record) {
  if (record.size() != 20) return bad_record();
  StagedFile* file = file_at(FileNo(load_le<std::uint32_t>(record)));
  const Extent gone{load_le<std::uint64_t>(record.subspan(4)),
                    load_le<std::uint64_t>(record.subspan(12))};
  if (file == nullptr || gone.length > kFileBytesMax || gone.offset > kFileBytesMax)
    return bad_record();
  file->ranges.erase_if(
      [&](const Range& range) { return range.offset < gone.end() && gone.offset < range.end(); });
  return {};
}

}  // namespace longhaul::store
