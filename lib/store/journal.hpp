// Journal: an append-only log of small records that is right after any crash up to its last whole
// record. Each record carries a check chained over all before it, so that a torn, missing or stale
// one ends the log there (docs/store.md, "Journal"); the tail behind is cut off on opening.
//
// It remembers the boot of the machine that began it: while that has not changed, records that were
// appended but never synced can be trusted, because only the process died.
//
// Not thread-safe; its owner locks.
#pragma once

#include <memory>
#include <vector>

#include "lib/store/files.hpp"

namespace longhaul::store {

constexpr std::size_t kJournalRecordMax = 1U << 20;
constexpr std::uint64_t kJournalBytesMax = 8ULL << 30;

class Journal {
 public:
  struct Opened {
    std::unique_ptr<Journal> journal;
    std::vector<ByteVector> records;
    bool same_boot = false;  // begun in this boot; true for a new one
  };
  // Opens what is there or begins a new one; so it does if what is there has no header of ours.
  static Result<Opened> open(Files& files, const TreeName& name);
  // Replaces the journal by one of this boot with these records, at once and durably.
  static Result<std::unique_ptr<Journal>> rewrite(Files& files, const TreeName& name,
                                                  const std::vector<ByteVector>& records);

  Result<> append(Bytes record);  // written, not yet durable
  Result<> sync();                // everything appended before is durable
  std::uint64_t records() const { return records_; }
  std::uint64_t bytes() const { return end_; }

 private:
  explicit Journal(std::unique_ptr<File> file) : file_(std::move(file)) {}
  Result<> begin(const std::string& boot_id);
  std::unique_ptr<File> file_;
  std::uint64_t end_ = 0;    // where the next record goes
  std::uint64_t chain_ = 0;  // check of the last record
  std::uint64_t records_ = 0;
};

// Decoding alone, for the fuzzer: the records of a journal's bytes and where they end.
struct JournalContent {
  std::string boot_id;
  std::vector<ByteVector> records;
  std::uint64_t end = 0;
  std::uint64_t chain = 0;
};
Result<JournalContent> read_journal(Bytes bytes);

}  // namespace longhaul::store
