#include <algorithm>
#include <utility>

#include "compression/safetensors.hpp"
#include "lib/store/scan.hpp"

namespace longhaul::store {
namespace {

constexpr std::size_t kReadBytes = 1U << 20;
// A smaller hole is read as the zeros it is: cutting there would make chunks of nothing.
constexpr std::uint64_t kHoleMin = 64U << 10;

}  // namespace

FileHasher::FileHasher(std::unique_ptr<File> file, TreeName name, const FileStat& seen)
    : file_(std::move(file)),
      name_(std::move(name)),
      seen_(seen),
      hash_(std::make_unique<crypto::Sha256>()) {}

Error FileHasher::changed(const char* why) const {
  return Error(Kind::kChanged, "read " + name_.shown(), why);
}

Result<FileHasher> FileHasher::open(Files& files, const TreeName& name, const FileStat& seen,
                                    StageClock* stages) {
  FileHasher hasher(TRY(files.open(name, Access::kRead)), name, seen);
  hasher.stages_ = stages;
  const FileStat now = TRY(hasher.file_->stat());
  if (!now.same_content_as(seen)) return fail(hasher.changed("it changed since it was listed"));
  if (seen.size > kFileBytesMax)
    return fail(Kind::kLimit, "read " + name.shown(), "it is too large");
  if (name.last().ends_with(".safetensors") && seen.allocated >= seen.size)
    TRY(hasher.find_tensors());
  return hasher;
}

// A file whose header is not in order is cut by content; one with holes, too.
Result<> FileHasher::find_tensors() {
  ByteVector length(8);
  length.resize(TRY(file_->read_at(length, 0)));
  const auto bytes = compression::safetensors_header_bytes(length, seen_.size);
  if (!bytes) return {};
  ByteVector json(static_cast<std::size_t>(*bytes));
  json.resize(TRY(file_->read_at(json, length.size())));
  const auto layout = compression::parse_safetensors(json, seen_.size);
  if (!layout) return {};
  for (const auto& chunk : compression::tensor_chunks(*layout))
    tensor_cuts_.push_back(chunk.begin + chunk.bytes);
  return {};
}

void FileHasher::feed(Bytes read) {
  const StageClock::Span span(stages_, WorkStage::kChunk);
  if (tensor_cuts_.empty()) {
    chunker_.feed(read, cuts_);
    if (offset_ + read.size() == run_end_) chunker_.finish(cuts_);
    return;
  }
  for (; next_cut_ < tensor_cuts_.size() && tensor_cuts_[next_cut_] <= offset_ + read.size();
       ++next_cut_)
    cuts_.push_back(tensor_cuts_[next_cut_] - run_start_);
}

// At the start of data or of a hole: passes over the hole and finds where the next one starts.
Result<> FileHasher::begin_run(std::vector<Piece>& out) {
  run_end_ = seen_.size;
  if (seen_.allocated < seen_.size) {
    std::uint64_t end = offset_;
    for (bool first = true;; first = false) {
      const std::optional<Extent> data = TRY(file_->next_data(end));
      const std::uint64_t start = std::min(data ? data->offset : seen_.size, seen_.size);
      if (start - end >= kHoleMin) {
        if (!first) break;  // the run ends at this hole
        out.push_back({start - end, true, {}});
        offset_ = start;
      }
      end = data ? std::min(data->end(), seen_.size) : seen_.size;
      if (end <= start && data) return fail(changed("it shrank"));
      if (end == seen_.size) break;
    }
    run_end_ = end;
  }
  run_start_ = chunk_start_ = offset_;
  return {};
}

void FileHasher::cut(Bytes read, std::vector<Piece>& out) {
  const StageClock::Span span(stages_, WorkStage::kHash);
  std::uint64_t at = offset_;  // of the first byte not yet hashed
  for (const std::uint64_t run_cut : cuts_) {
    const std::uint64_t end = run_start_ + run_cut;
    const auto taken = static_cast<std::size_t>(end - at);
    hash_->update(read.first(taken));
    read = read.subspan(taken);
    out.push_back({end - chunk_start_, false, hash_->finish()});
    chunk_start_ = at = end;
  }
  hash_->update(read);
  offset_ = at + read.size();
  cuts_.clear();
}

Result<> FileHasher::read_run(std::vector<Piece>& out) {
  read_ = static_cast<std::size_t>(std::min<std::uint64_t>(kReadBytes, run_end_ - offset_));
  if (buffer_.bytes().size() < read_) buffer_ = Buffer(read_);
  const MutableBytes read = buffer_.bytes().first(read_);
  const std::size_t got = TRY(file_->read_at(read, offset_));
  if (got != read_) return fail(changed("it shrank"));
  feed(read);
  cut(read, out);
  return {};
}

Slice FileHasher::take_content() {
  const std::size_t bytes = std::exchange(read_, 0);
  const bool whole = bytes > 0 && offset_ == seen_.size && bytes == seen_.size;
  return whole ? std::move(buffer_).freeze(bytes) : Slice();
}

Result<FileHasher::Progress> FileHasher::step(std::uint64_t most, std::vector<Piece>& out) {
  const std::uint64_t start = offset_;
  while (offset_ < seen_.size && offset_ - start < most) {
    if (offset_ == run_end_) TRY(begin_run(out));
    if (offset_ < run_end_) TRY(read_run(out));
  }
  if (offset_ < seen_.size) return Progress::kMore;
  const FileStat now = TRY(file_->stat());
  if (!now.same_content_as(seen_)) return fail(changed("it changed while it was read"));
  return Progress::kDone;
}

}  // namespace longhaul::store
