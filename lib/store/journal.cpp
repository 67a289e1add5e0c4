#include "lib/store/journal.hpp"

#include "lib/crypto/digest.hpp"

namespace longhaul::store {
namespace {

constexpr std::string_view kJournalMagic = "longhaul journal 1\n";
constexpr std::size_t kBootIdMax = 64;
constexpr std::size_t kHeadBytes = 12;  // length u32, check u64

std::uint64_t check_of(std::uint64_t chain, Bytes record) {
  std::array<std::byte, 12> front{};
  store_le(MutableBytes(front), chain);
  store_le(MutableBytes(front).subspan(8), static_cast<std::uint32_t>(record.size()));
  crypto::Sha256 hasher;
  hasher.update(Bytes(front));
  hasher.update(record);
  return load_le<std::uint64_t>(hasher.finish().bytes());
}

// magic, length of the boot id, boot id: the first link of the chain covers all of it.
ByteVector header_for(const std::string& boot_id) {
  ByteVector header;
  append(header, bytes_of(kJournalMagic));
  header.push_back(static_cast<std::byte>(boot_id.size()));
  append(header, bytes_of(boot_id));
  return header;
}

ByteVector framed(std::uint64_t& chain, Bytes record) {
  chain = check_of(chain, record);
  ByteVector frame(kHeadBytes);
  store_le(MutableBytes(frame), static_cast<std::uint32_t>(record.size()));
  store_le(MutableBytes(frame).subspan(4), chain);
  append(frame, record);
  return frame;
}

}  // namespace

Result<JournalContent> read_journal(Bytes bytes) {
  const auto foreign = [] {
    return fail(Kind::kMalformed, "read a journal", "it does not begin like one");
  };
  JournalContent content;
  if (bytes.size() < kJournalMagic.size() + 1 ||
      text_of(bytes.first(kJournalMagic.size())) != kJournalMagic)
    return foreign();
  const auto boot_bytes = std::to_integer<std::size_t>(bytes[kJournalMagic.size()]);
  const std::size_t start = kJournalMagic.size() + 1 + boot_bytes;
  if (boot_bytes > kBootIdMax || bytes.size() < start) return foreign();
  content.boot_id = text_of(bytes.subspan(kJournalMagic.size() + 1, boot_bytes));
  content.chain = check_of(0, bytes.first(start));
  std::size_t at = start;
  while (bytes.size() - at >= kHeadBytes) {
    const auto length = load_le<std::uint32_t>(bytes.subspan(at));
    const auto check = load_le<std::uint64_t>(bytes.subspan(at + 4));
    if (length > kJournalRecordMax || bytes.size() - at - kHeadBytes < length) break;
    const Bytes record = bytes.subspan(at + kHeadBytes, length);
    if (check_of(content.chain, record) != check) break;
    content.chain = check;
    content.records.emplace_back(record.begin(), record.end());
    at += kHeadBytes + length;
  }
  content.end = at;
  return content;
}

Result<Journal::Opened> Journal::open(Files& files, const TreeName& name) {
  auto file = TRY(files.open(name, Access::kOpenOrCreate));
  const FileStat stat = TRY(file->stat());
  if (stat.size > kJournalBytesMax)
    return fail(Kind::kLimit, "read " + name.shown(), "the journal is too large");
  ByteVector bytes(static_cast<std::size_t>(stat.size));
  const std::size_t got = TRY(file->read_at(bytes, 0));
  bytes.resize(got);
  Opened opened;
  opened.journal.reset(new Journal(std::move(file)));
  auto content = read_journal(bytes);
  if (!content) {
    // The header was never synced, or rotted: either way nothing that was promised can be in it.
    opened.same_boot = true;
    TRY(opened.journal->begin(files.boot_id()));
    return opened;
  }
  if (content->end < bytes.size()) TRY(opened.journal->file_->resize(content->end));
  opened.journal->end_ = content->end;
  opened.journal->chain_ = content->chain;
  opened.journal->records_ = content->records.size();
  opened.same_boot = !content->boot_id.empty() && content->boot_id == files.boot_id();
  opened.records = std::move(content->records);
  return opened;
}

Result<> Journal::begin(const std::string& boot_id) {
  const ByteVector header = header_for(boot_id.substr(0, kBootIdMax));
  TRY(file_->resize(0));
  TRY(file_->write_at(header, 0));
  end_ = header.size();
  chain_ = check_of(0, header);
  records_ = 0;
  return {};
}

Result<std::unique_ptr<Journal>> Journal::rewrite(Files& files, const TreeName& name,
                                                  const std::vector<ByteVector>& records) {
  ByteVector bytes = header_for(files.boot_id().substr(0, kBootIdMax));
  std::uint64_t chain = check_of(0, bytes);
  for (const ByteVector& record : records) longhaul::append(bytes, framed(chain, record));
  TRY(write_whole(files, name, bytes));
  std::unique_ptr<Journal> journal(new Journal(TRY(files.open(name, Access::kWrite))));
  journal->end_ = bytes.size();
  journal->chain_ = chain;
  journal->records_ = records.size();
  return journal;
}

Result<> Journal::append(Bytes record) {
  if (record.size() > kJournalRecordMax)
    return fail(Kind::kLimit, "write the journal", "a record is too large");
  if (end_ + record.size() + kHeadBytes > kJournalBytesMax)
    return fail(Kind::kLimit, "write the journal", "it is full");
  std::uint64_t chain = chain_;
  const ByteVector frame = framed(chain, record);
  TRY(file_->write_at(frame, end_));  // if it tears, the next append writes over it
  end_ += frame.size();
  chain_ = chain;
  ++records_;
  return {};
}

Result<> Journal::sync() {
  return file_->sync();
}

}  // namespace longhaul::store
