// Scan: the walk over a folder that becomes a tree: names in walk order, in steps as small as the
// caller likes (each a Job), each file with what the scan cache knows of its pieces. What cannot be
// kept (devices, sockets, names or links a receiver would refuse, unreadable folders) is left out
// and told in problems(); it never ends the walk.
//
// FileHasher turns one file into pieces, cut by content, or where a safetensors file says that its
// tensors lie, and notices if it changes meanwhile: size, mtime, ctime and
// inode before the first and after the last byte must be the same.
//
// Each object belongs to one thread at a time.
//
//   Scan scan(files, options, cache);
//   for (;;) { auto items = TRY(scan.next(1000)); if (items.empty()) break; .. }
//   Tree tree = TRY(scan_tree(files, options)).tree;   // all at once, for tools and tests
#pragma once

#include <map>
#include <optional>
#include <vector>

#include "compression/chunker.hpp"
#include "lib/base/slice.hpp"
#include "lib/base/stage_clock.hpp"
#include "lib/store/files.hpp"
#include "lib/store/ignore.hpp"
#include "lib/store/scan_cache.hpp"
#include "lib/store/tree.hpp"

namespace longhaul::store {

constexpr std::size_t kProblemsMax = 1000;  // kept; further ones are counted

struct ScanOptions {
  TreeName top;              // the folder that is scanned; names in the result are below it
  IgnoreRules rules;         // --exclude, --exclude-from; .longhaulignore files are read on the way
  bool ignore_files = true;  // mind .longhaulignore files
  // --files-from: only these and what they hold; nullopt: everything.
  std::optional<std::vector<TreeName>> only;
};

struct ScanItem {
  Entry entry;
  FileStat seen;       // what the walk saw: the guard against change
  bool known = false;  // file: `pieces` are those of the cache, nothing need be read
  std::vector<Piece> pieces;
};

struct ScanProblem {
  TreeName name;
  Error error;
};

class Scan {
 public:
  // `cache` may be null; it is read forward in step with the walk. Both outlive the scan.
  Scan(Files& files, ScanOptions options, ScanCacheReader* cache);
  // The next entries in walk order, at most `most`; none: the end. An error: the top itself cannot
  // be read. A file of many pieces stands alone in its step.
  Result<std::vector<ScanItem>> next(std::size_t most);

  const std::vector<ScanProblem>& problems() const { return problems_; }
  std::uint64_t problem_count() const { return problem_count_; }

 private:
  struct Level {
    TreeName name;             // below the top
    std::vector<Found> found;  // sorted backwards: the next one is last
    std::size_t rules = 0;     // how many there were before this folder's own
  };
  Result<> enter(const TreeName& name);
  void read_rules(const TreeName& folder);
  bool is_wanted(const TreeName& name, bool is_folder) const;
  std::optional<ScanItem> look_at(const Found& found);
  std::optional<ScanItem> look_at_link(ScanItem item);
  std::optional<ScanItem> look_at_file(ScanItem item);
  Result<> check_readable(const ScanItem& item);
  void problem(const TreeName& name, Error error);

  Files& files_;
  ScanOptions options_;
  ScanCacheReader* cache_;
  IgnoreRules folder_rules_;  // of .longhaulignore files; the user's own go before them
  bool started_ = false;
  std::vector<Level> levels_;
  // First name of each file with several, by device and inode.
  std::map<std::pair<std::uint64_t, std::uint64_t>, TreeName> first_names_;
  std::vector<ScanProblem> problems_;
  std::uint64_t problem_count_ = 0;
};

class FileHasher {
 public:
  // kChanged if the file is no longer as `seen`. stages: told of chunking and hashing; outlives it.
  static Result<FileHasher> open(Files& files, const TreeName& name, const FileStat& seen,
                                 StageClock* stages = nullptr);
  // Reads about `most` bytes further and appends the pieces that ended; holes cost no read. kDone:
  // the end, and the file was looked at again; the error kChanged voids all its pieces.
  enum class Progress : std::uint8_t { kMore, kDone };
  Result<Progress> step(std::uint64_t most, std::vector<Piece>& out);
  std::uint64_t offset() const { return offset_; }  // bytes passed so far
  // After kDone, once: all that the file holds, if one read had room for it; else nothing.
  Slice take_content();

 private:
  FileHasher(std::unique_ptr<File> file, TreeName name, const FileStat& seen);
  Result<> find_tensors();
  void feed(Bytes read);
  Result<> begin_run(std::vector<Piece>& out);
  Result<> read_run(std::vector<Piece>& out);
  void cut(Bytes read, std::vector<Piece>& out);
  Error changed(const char* why) const;

  std::unique_ptr<File> file_;
  TreeName name_;
  FileStat seen_;
  std::uint64_t offset_ = 0;
  std::uint64_t run_start_ = 0, run_end_ = 0;  // of the data under way, between two holes
  std::uint64_t chunk_start_ = 0;
  compression::Chunker chunker_;
  std::vector<std::uint64_t> tensor_cuts_;  // rising, the last is the size; none: cut by content
  std::size_t next_cut_ = 0;
  std::unique_ptr<crypto::Sha256> hash_;  // of the chunk under way
  Buffer buffer_;
  std::size_t read_ = 0;  // bytes of the newest read
  std::vector<std::uint64_t> cuts_;
  StageClock* stages_ = nullptr;
};

struct ScannedTree {
  Tree tree;
  std::vector<ScanProblem> problems;
  std::uint64_t problem_count = 0;
  std::uint64_t bytes_read = 0;
};

// Where the scan cache lies; `now`: wall time at the start, what was touched within 2 s of it is
// not trusted next time.
struct CachePlace {
  Files* state = nullptr;  // null: no cache
  TreeName file;
  WallTime now;
};
// Walks and hashes a whole folder on this thread. A file that changes while read is read again, up
// to three times, then reported and left out.
Result<ScannedTree> scan_tree(Files& files, const ScanOptions& options, const CachePlace& cache);

}  // namespace longhaul::store
