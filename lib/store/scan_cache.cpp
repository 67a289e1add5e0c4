#include "lib/store/scan_cache.hpp"

#include <algorithm>

#include "lib/store/tree_record.hpp"

namespace longhaul::store {
namespace {

constexpr std::string_view kMagic = "longhaul scan cache 1\n";
constexpr std::size_t kHeadBytes = 12;          // length u32, check u64
constexpr std::size_t kFixedBytes = 2 + 5 * 8;  // name length, size, mtime, ctime, inode, device
constexpr std::uint32_t kRecordMax = 512U << 20;
constexpr std::size_t kReadStep = 1U << 20;

std::uint64_t check_of(Bytes payload) {
  return load_le<std::uint64_t>(crypto::sha256(payload).bytes());
}

template <class Int>
void put(ByteVector& out, Int value) {
  const std::size_t at = out.size();
  out.resize(at + sizeof value);
  store_le(MutableBytes(out).subspan(at), value);
}

std::uint64_t load_at(Bytes in, std::size_t at) {
  return load_le<std::uint64_t>(in.subspan(at));
}

}  // namespace

ScanCacheReader ScanCacheReader::open(Files& state, const TreeName& name) {
  ScanCacheReader reader;
  auto file = state.open(name, Access::kRead);
  if (!file) return reader;
  reader.file_ = *std::move(file);
  if (!reader.fill(kMagic.size())) return reader;
  if (text_of(Bytes(reader.buffer_).first(kMagic.size())) != kMagic) return reader;
  reader.at_ = kMagic.size();
  reader.ended_ = false;
  return reader;
}

// At least `bytes` behind at_ in the buffer; false: the file does not have them.
bool ScanCacheReader::fill(std::size_t bytes) {
  if (buffer_.size() - at_ >= bytes) return true;
  buffer_.erase(buffer_.begin(), buffer_.begin() + static_cast<std::ptrdiff_t>(at_));
  at_ = 0;
  const std::size_t had = buffer_.size();
  buffer_.resize(std::max(bytes, had + kReadStep));
  const auto got = file_->read_at(MutableBytes(buffer_).subspan(had), offset_);
  buffer_.resize(had + (got ? *got : 0));
  offset_ += got ? *got : 0;
  return buffer_.size() >= bytes;
}

bool ScanCacheReader::load() {
  have_ = false;
  if (ended_) return false;
  ended_ = true;  // until this record has checked
  if (!fill(kHeadBytes)) return false;
  const auto length = load_le<std::uint32_t>(Bytes(buffer_).subspan(at_));
  const std::uint64_t check = load_at(buffer_, at_ + 4);
  if (length < kFixedBytes || length > kRecordMax || !fill(kHeadBytes + length)) return false;
  const Bytes payload = Bytes(buffer_).subspan(at_ + kHeadBytes, length);
  if (check_of(payload) != check) return false;
  const std::size_t name_bytes = load_le<std::uint16_t>(payload);
  if (kFixedBytes + name_bytes > length) return false;
  auto name = TreeName::parse(text_of(payload.subspan(kFixedBytes, name_bytes)));
  if (!name) return false;
  name_ = *std::move(name);
  seen_ = FileStat{};
  seen_.type = FileType::kFile;
  seen_.size = load_at(payload, 2);
  seen_.mtime = WallTime{static_cast<std::int64_t>(load_at(payload, 10))};
  seen_.ctime = WallTime{static_cast<std::int64_t>(load_at(payload, 18))};
  seen_.inode = load_at(payload, 26);
  seen_.device = load_at(payload, 34);
  pieces_ = payload.subspan(kFixedBytes + name_bytes);
  at_ += kHeadBytes + length;
  have_ = true;
  ended_ = false;
  return true;
}

std::optional<std::vector<Piece>> ScanCacheReader::find(const TreeName& name,
                                                        const FileStat& seen) {
  while (!have_ || name_ < name)
    if (!load()) return std::nullopt;
  if (name_ != name || !seen_.same_content_as(seen)) return std::nullopt;
  if (!check_pieces(pieces_, seen.size)) return std::nullopt;
  return decode_pieces(pieces_);
}

ScanCacheWriter::ScanCacheWriter(Files& state, TreeName name, TreeName beside, WallTime now,
                                 std::unique_ptr<File> file)
    : state_(&state),
      name_(std::move(name)),
      beside_(std::move(beside)),
      now_(now),
      file_(std::move(file)) {
  append(buffer_, bytes_of(kMagic));
}

Result<ScanCacheWriter> ScanCacheWriter::open(Files& state, const TreeName& name, WallTime now) {
  TreeName beside = TRY(name.parent().child(std::string(name.last()) + ".new"));
  TRY(make_folders(state, name.parent()));
  auto file = TRY(state.open(beside, Access::kOpenOrCreate));
  TRY(file->resize(0));
  return ScanCacheWriter(state, name, std::move(beside), now, std::move(file));
}

Result<> ScanCacheWriter::add(const TreeName& name, const FileStat& seen,
                              std::span<const Piece> pieces) {
  const std::int64_t racy_from = now_.ns - kRacyNs;
  if (pieces.empty() || seen.mtime.ns >= racy_from || seen.ctime.ns >= racy_from) return {};
  ByteVector payload;
  put(payload, static_cast<std::uint16_t>(name.text().size()));
  put(payload, seen.size);
  put(payload, static_cast<std::uint64_t>(seen.mtime.ns));
  put(payload, static_cast<std::uint64_t>(seen.ctime.ns));
  put(payload, seen.inode);
  put(payload, seen.device);
  append(payload, bytes_of(name.text()));
  append(payload, encode_pieces(pieces));
  if (payload.size() > kRecordMax) return {};  // read again next time
  put(buffer_, static_cast<std::uint32_t>(payload.size()));
  put(buffer_, check_of(payload));
  append(buffer_, payload);
  if (buffer_.size() >= kReadStep) return flush();
  return {};
}

Result<> ScanCacheWriter::flush() {
  TRY(file_->write_at(buffer_, offset_));
  offset_ += buffer_.size();
  buffer_.clear();
  return {};
}

// Not synced: each record checks itself, and after power loss a torn cache costs a read, no more.
Result<> ScanCacheWriter::finish() {
  TRY(flush());
  file_.reset();
  return state_->rename(beside_, name_, Replace::kYes);
}

}  // namespace longhaul::store
