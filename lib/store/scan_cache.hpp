// The scan cache: what each file was made of when it was last read, so that an unchanged tree costs
// a walk and no read. One file in walk order (docs/store.md, "Scan cache"), read and written in
// step with the walk, so that it takes no memory to speak of. It may be lost or damaged: a record
// that does not check ends it, and what is behind is simply read again.
//
// A record is trusted if path, size, mtime, ctime and inode are the same and neither time was
// within 2 s of the scan that wrote it: a write in the same tick would leave no trace.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "lib/store/files.hpp"
#include "lib/store/tree.hpp"

namespace longhaul::store {

constexpr std::int64_t kRacyNs = 2'000'000'000;

class ScanCacheReader {
 public:
  // No such file, or one of another form: an empty cache.
  static ScanCacheReader open(Files& state, const TreeName& name);
  // Names must be asked in walk order. nullopt: not known, or not as `seen`.
  std::optional<std::vector<Piece>> find(const TreeName& name, const FileStat& seen);

 private:
  ScanCacheReader() = default;
  bool load();  // the next record into the fields below
  bool fill(std::size_t bytes);
  std::unique_ptr<File> file_;
  std::uint64_t offset_ = 0;
  ByteVector buffer_;
  std::size_t at_ = 0;
  bool have_ = false, ended_ = true;
  TreeName name_;
  FileStat seen_;
  Bytes pieces_;  // within buffer_
};

class ScanCacheWriter {
 public:
  // Writes beside `name`; finish() puts it in place. `now`: wall time at the start of the scan.
  static Result<ScanCacheWriter> open(Files& state, const TreeName& name, WallTime now);
  // In walk order. Racy and empty files are left out.
  Result<> add(const TreeName& name, const FileStat& seen, std::span<const Piece> pieces);
  Result<> finish();

 private:
  ScanCacheWriter(Files& state, TreeName name, TreeName beside, WallTime now,
                  std::unique_ptr<File> file);
  Result<> flush();
  Files* state_;
  TreeName name_, beside_;
  WallTime now_;
  std::unique_ptr<File> file_;
  std::uint64_t offset_ = 0;
  ByteVector buffer_;
};

}  // namespace longhaul::store
