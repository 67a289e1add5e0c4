#include "lib/store/files.hpp"

namespace longhaul::store {
namespace {

constexpr std::size_t kListStep = 1024;  // entries held at a time while removing

}  // namespace

Result<> make_folders(Files& files, const TreeName& name) {
  if (name.is_root()) return {};
  auto made = files.make_folder(name);
  if (made || made.error().kind() == Kind::kExists) return {};
  if (made.error().kind() != Kind::kNotFound) return made;
  TRY(make_folders(files, name.parent()));
  made = files.make_folder(name);
  if (!made && made.error().kind() == Kind::kExists) return {};
  return made;
}

Result<> remove_tree(Files& files, const TreeName& name) {
  auto stat = files.stat(name);
  if (!stat) {
    if (stat.error().kind() == Kind::kNotFound) return {};
    return fail(stat.error());
  }
  if (stat->type != FileType::kFolder) return files.remove(name);
  if ((stat->mode & 0700U) != 0700U) TRY(files.set_mode(name, 0700));
  for (;;) {  // listed anew after each step: removing moves what a listing under way would see
    auto folder = TRY(files.open_folder(name));
    const auto found = TRY(folder->next(kListStep));
    if (found.empty()) break;
    for (const Found& entry : found) {
      // Deeper than a TreeName can say never came from us; what cannot be named cannot be removed.
      const TreeName inner = TRY(name.child(entry.name));
      if (entry.stat.type == FileType::kFolder) {
        TRY(remove_tree(files, inner));
      } else {
        TRY(files.remove(inner));
      }
    }
  }
  return files.remove_folder(name);
}

Result<ByteVector> read_whole(Files& files, const TreeName& name, std::size_t most) {
  auto file = TRY(files.open(name, Access::kRead));
  const FileStat stat = TRY(file->stat());
  if (stat.size > most) return fail(Kind::kLimit, "read " + name.shown(), "it is too large");
  ByteVector bytes(static_cast<std::size_t>(stat.size));
  const std::size_t got = TRY(file->read_at(bytes, 0));
  if (got != bytes.size()) return fail(Kind::kChanged, "read " + name.shown(), "it shrank");
  return bytes;
}

Result<> write_whole(Files& files, const TreeName& name, Bytes bytes, std::uint32_t mode,
                     Bytes more) {
  const TreeName beside = TRY(name.parent().child(std::string(name.last()) + ".new"));
  auto stale = files.remove(beside);  // of an earlier try that was cut short
  if (!stale && stale.error().kind() != Kind::kNotFound) return stale;
  auto file = TRY(files.open(beside, Access::kCreate));
  TRY(files.set_mode(beside, mode));  // before there is anything to read
  TRY(file->write_at(bytes, 0));
  if (!more.empty()) TRY(file->write_at(more, bytes.size()));
  TRY(file->sync());
  TRY(files.rename(beside, name, Replace::kYes));
  return files.sync_folder(name.parent());
}

}  // namespace longhaul::store
