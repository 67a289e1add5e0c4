#include "lib/checkpoint/checkpoint_files.hpp"

#include <algorithm>

#include "compression/safetensors.hpp"
#include "lib/store/scan.hpp"

namespace longhaul::checkpoint {

using store::TreeName;

namespace {

// Beside weights, a model's folder holds configurations and tokenizers; what is larger is neither.
constexpr std::uint64_t kBesideMax = 64U << 20;
constexpr std::size_t kRoundBytes = 128U << 10;  // made at a time

bool is_safetensors(std::string_view name) {
  return name.ends_with(".safetensors");
}

// What goes home as `weights`: tensors that are no optimizer's, and what a reader of them needs.
bool is_of_weights(const store::Entry& entry) {
  const std::string_view name = entry.name.text();
  if (entry.type != store::EntryType::kFile || entry.name.depth() != 1) return false;
  if (is_safetensors(name)) return !name.starts_with("state") && !name.starts_with("optimizer");
  if (name == "checkpoint.json" || name.starts_with('.') || entry.size > kBesideMax) return false;
  return name.ends_with(".json") || name.ends_with(".txt") || name.ends_with(".model") ||
         name.ends_with(".jinja");
}

// nullptr: nothing in it is rounded, or its header is not in order: it goes as it stands.
Result<std::shared_ptr<const Bf16Layout>> layout_of(store::File& file, std::uint64_t size) {
  ByteVector length(8);
  length.resize(TRY(file.read_at(length, 0)));
  const auto header = compression::safetensors_header_bytes(length, size);
  if (!header) return std::shared_ptr<const Bf16Layout>();
  ByteVector json(static_cast<std::size_t>(*header));
  json.resize(TRY(file.read_at(json, length.size())));
  auto layout = bf16_layout(json, size);
  if (!layout || !layout->rounds) return std::shared_ptr<const Bf16Layout>();
  return std::make_shared<const Bf16Layout>(*std::move(layout));
}

tl::unexpected<Error> read_only() {
  return fail(Kind::kUnsupported, "use a checkpoint", "it is only read");
}

// Deleting a name changes a file's ctime, and not its content.
store::FileStat as_seen(const Bf16Layout* rounded, store::FileStat stat) {
  stat.ctime = stat.mtime;
  if (rounded == nullptr) return stat;
  stat.size = stat.allocated = rounded->bytes;
  return stat;
}

class Opened final : public store::File {
 public:
  Opened(std::shared_ptr<store::File> file, std::shared_ptr<const Bf16Layout> rounded)
      : file_(std::move(file)), rounded_(std::move(rounded)) {}
  Result<store::FileStat> stat() override { return as_seen(rounded_.get(), TRY(file_->stat())); }
  Result<std::size_t> read_at(MutableBytes out, std::uint64_t offset) override {
    return rounded_ == nullptr ? file_->read_at(out, offset) : read_rounded(out, offset);
  }
  Result<> write_at(Bytes, std::uint64_t) override { return read_only(); }
  Result<> resize(std::uint64_t) override { return read_only(); }
  Result<> sync() override { return read_only(); }
  Result<std::optional<store::Extent>> next_data(std::uint64_t offset) override {
    return file_->next_data(offset);
  }

 private:
  Result<std::size_t> read_rounded(MutableBytes out, std::uint64_t offset);
  Result<std::size_t> read_part(const Bf16Part& part, MutableBytes out, std::uint64_t at);

  const std::shared_ptr<store::File> file_;
  const std::shared_ptr<const Bf16Layout> rounded_;
};

Result<std::size_t> Opened::read_rounded(MutableBytes out, std::uint64_t offset) {
  const Bf16Layout& layout = *rounded_;
  std::size_t done = 0;
  if (offset < layout.head.size()) {
    done = std::min(out.size(), layout.head.size() - static_cast<std::size_t>(offset));
    std::copy_n(layout.head.begin() + static_cast<std::ptrdiff_t>(offset), done, out.begin());
  }
  const auto ends_behind = [](std::uint64_t at, const Bf16Part& part) {
    return at < part.to + part.bytes;
  };
  auto part =
      std::upper_bound(layout.parts.begin(), layout.parts.end(), offset + done, ends_behind);
  for (; part != layout.parts.end() && done < out.size(); ++part) {
    if (part->bytes == 0) continue;
    const std::uint64_t at = offset + done - part->to;
    const auto most =
        static_cast<std::size_t>(std::min<std::uint64_t>(out.size() - done, part->bytes - at));
    const std::size_t got = TRY(read_part(*part, out.subspan(done, most), at));
    done += got;
    if (got < most) break;
  }
  return done;
}

// at: within the part. A cut may lie inside of an element: the elements around it are made whole.
Result<std::size_t> Opened::read_part(const Bf16Part& part, MutableBytes out, std::uint64_t at) {
  if (!part.rounded) return file_->read_at(out, part.from + at);
  ByteVector in, made;
  std::size_t done = 0;
  while (done < out.size()) {
    const std::uint64_t first = (at + done) / 2 * 2;
    const std::uint64_t end = std::min((at + out.size() + 1) / 2 * 2, first + kRoundBytes);
    in.resize(static_cast<std::size_t>(2 * (end - first)));
    made.resize(in.size() / 2);
    if (TRY(file_->read_at(in, part.from + 2 * first)) != in.size()) break;  // it shrank
    round_to_bf16(in, made);
    const auto skip = static_cast<std::size_t>(at + done - first);
    const std::size_t some = std::min(made.size() - skip, out.size() - done);
    std::copy_n(made.begin() + static_cast<std::ptrdiff_t>(skip), some,
                out.begin() + static_cast<std::ptrdiff_t>(done));
    done += some;
  }
  return done;
}

}  // namespace

bool is_of_mark(const TreeName& name) {
  return name.text() == kPendingHome || name.text() == kMarkUnfinished;
}

Result<std::shared_ptr<CheckpointFiles>> CheckpointFiles::open(store::Files& files,
                                                               const TreeName& folder, Form form) {
  auto out = std::make_shared<CheckpointFiles>();
  store::ScanOptions options;
  options.top = folder;
  options.ignore_files = false;
  store::Scan scan(files, options, nullptr);
  for (;;) {
    const auto items = TRY(scan.next(kCheckpointNamesMax));
    if (items.empty()) break;
    for (const store::ScanItem& item : items) {
      transfer::Row row;
      row.entry = item.entry;
      row.seen = item.seen;
      if (is_of_mark(row.entry.name)) continue;
      if (form == Form::kWeights && !is_of_weights(row.entry)) continue;
      if (out->rows_.size() == kCheckpointNamesMax)
        return fail(Kind::kLimit, "send " + folder.shown(), "it has too many files");
      TRY(out->add(files, folder, form, std::move(row)));
    }
  }
  if (out->members_.empty())
    return fail(Kind::kNotFound, "send " + folder.shown(),
                form == Form::kFull ? "it is empty" : "there are no safetensors files in it");
  return out;
}

Result<> CheckpointFiles::add(store::Files& files, const TreeName& folder, Form form,
                              transfer::Row row) {
  if (row.is_file()) {
    Member member;
    member.file = TRY(files.open(row.entry.name.under(folder), store::Access::kRead));
    const store::FileStat now = TRY(member.file->stat());
    if (!now.same_content_as(row.seen))
      return fail(Kind::kChanged, "send " + row.entry.name.shown(), "it is still being written");
    if (form == Form::kWeights && is_safetensors(row.entry.name.text()))
      member.rounded = TRY(layout_of(*member.file, now.size));
    row.seen = as_seen(member.rounded.get(), now);
    row.entry.size = row.seen.size;
    members_.emplace(row.entry.name, std::move(member));
  }
  rows_.push_back(std::move(row));
  return {};
}

Result<std::unique_ptr<store::File>> CheckpointFiles::open(const TreeName& name,
                                                           store::Access access) {
  const auto found = members_.find(name);
  if (access != store::Access::kRead) return read_only();
  if (found == members_.end()) return fail(Kind::kNotFound, "open " + name.shown());
  return std::make_unique<Opened>(found->second.file, found->second.rounded);
}

Result<store::FileStat> CheckpointFiles::stat(const TreeName& name) {
  const auto found = members_.find(name);
  if (found == members_.end()) return fail(Kind::kNotFound, "look at " + name.shown());
  return as_seen(found->second.rounded.get(), TRY(found->second.file->stat()));
}

Result<std::unique_ptr<store::Folder>> CheckpointFiles::open_folder(const TreeName&) {
  return read_only();
}
Result<> CheckpointFiles::make_folder(const TreeName&) {
  return read_only();
}
Result<> CheckpointFiles::rename(const TreeName&, const TreeName&, store::Replace) {
  return read_only();
}
Result<> CheckpointFiles::link(const TreeName&, const TreeName&) {
  return read_only();
}
Result<> CheckpointFiles::reflink(const TreeName&, const TreeName&) {
  return read_only();
}
Result<> CheckpointFiles::remove(const TreeName&) {
  return read_only();
}
Result<> CheckpointFiles::remove_folder(const TreeName&) {
  return read_only();
}
Result<> CheckpointFiles::make_link(const std::string&, const TreeName&) {
  return read_only();
}
Result<std::string> CheckpointFiles::read_link(const TreeName&) {
  return read_only();
}
Result<> CheckpointFiles::set_mode(const TreeName&, std::uint32_t) {
  return read_only();
}
Result<> CheckpointFiles::set_attributes(const TreeName&, std::uint32_t, WallTime) {
  return read_only();
}
Result<> CheckpointFiles::sync_folder(const TreeName&) {
  return read_only();
}
Result<> CheckpointFiles::sync_all() {
  return read_only();
}
Result<store::FreeSpace> CheckpointFiles::free_space() {
  return read_only();
}
Result<std::unique_ptr<store::FileLock>> CheckpointFiles::lock(const TreeName&) {
  return read_only();
}

}  // namespace longhaul::checkpoint
