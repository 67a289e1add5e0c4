// Staging: a version on its way in. Files grow under their final names in
// .longhaul/staging/ID/tree, in any order of ranges; the journal beside them names every chunk that
// was written. Interrupt it anywhere: opened again it holds what it held, but for what was not yet
// synced when the machine itself stopped (at most one epoch: 100 ms or 64 MB).
//
// Invariant: a chunk is in held() only if its bytes were written (same boot), or synced before the
// record that says so (any boot). A failed sync breaks the staging for good: its journal is
// removed, because nobody can say which pages were lost.
//
// Thread-safe: writes of different chunks may run in several jobs at once.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <span>
#include <unordered_map>
#include <utility>
#include <vector>

#include "lib/base/ids.hpp"
#include "lib/base/number_table.hpp"
#include "lib/base/pile.hpp"
#include "lib/store/files.hpp"
#include "lib/store/journal.hpp"
#include "lib/store/tree.hpp"

namespace longhaul::store {

using FileNo = Id<struct StagedFileTag, std::uint32_t>;  // within one staging

constexpr std::size_t kStagedFilesMax = 1U << 28;
constexpr std::uint64_t kEpochBytes = 64U << 20;  // sync when so much is written
constexpr Duration kEpochTime = 100ms;            // or when the oldest of it is so old

struct StagedChunk {
  FileNo file;
  std::uint64_t offset = 0;
  std::uint32_t length = 0;
  ChunkId chunk;
};
struct StagedWrite {
  StagedChunk place;
  Bytes bytes;  // hashed to place.chunk by the caller
};

// Held by whoever stages there; it lies beside the folder, so that the folder can go while it is
// held.
constexpr std::string_view kStagingLockEnd = ".lock";
TreeName staging_lock(const TreeName& folder);
// One that nobody touched for so long is given up: days for a laptop to come back from a holiday.
constexpr Duration kStagingKept = 14 * 24h;

class Staging {
 public:
  // New or resumed: `folder` is .longhaul/staging/ID below the root of `files`. After another boot
  // only what was synced is held.
  static Result<std::unique_ptr<Staging>> open(Files& files, const TreeName& folder);

  // The file of this name with this size. The same name gives the same number; another size cuts or
  // extends it. It is made, and its folders, with its first chunk, or by make().
  Result<FileNo> add_file(const TreeName& name, std::uint64_t size);
  Result<> make(FileNo file);
  // Writes chunks into their files, then names them in the journal. Ranges must lie in the file;
  // what is held already is not written again.
  Result<> write(std::span<const StagedWrite> writes);
  // Gives up all that the file holds: it changed at its source, and reads as one hole again.
  Result<> restart(FileNo file);
  // Forgets the file altogether; something else may take its name. The number is spent.
  Result<> give_up(FileNo file);
  // Ends the epoch: what was written before this call is durable when it returns.
  Result<> sync();
  // A sync of these files failed elsewhere: nothing here is to be trusted. Returns the error.
  tl::unexpected<Error> distrust(Error error);
  std::uint64_t unsynced_bytes() const;

  // All that is staged, by file and offset: what a resume found and what came since.
  std::vector<StagedChunk> held() const;
  std::uint64_t held_bytes() const;
  bool holds(const StagedChunk& chunk) const;
  std::optional<FileNo> find(const TreeName& name) const;
  // All that lies in tree() was put there by this object, and so many of its files are left.
  bool is_fresh() const { return fresh_; }
  std::size_t files_left() const;
  TreeName name_of(FileNo file) const;
  // Whether the file holds exactly these chunks and they were written by this process, which hashed
  // them; resumed ones are to be read again before they are published.
  enum class Content : std::uint8_t { kWhole, kResumed, kMissing };
  Content content(FileNo file, std::uint64_t size, std::span<const Piece> pieces) const;

  const TreeName& folder() const { return folder_; }
  TreeName tree() const;  // where the files grow
  Files& files() const { return files_; }

 private:
  struct Range {
    std::uint64_t offset = 0;
    std::uint32_t length = 0;
    bool resumed = false;  // written by an earlier process
    ChunkId chunk;
    std::uint64_t end() const { return offset + length; }
  };
  // Sorted by offset, none overlap. Most files have one, which takes no memory of its own.
  class Ranges {
   public:
    std::span<const Range> all() const {
      return many_ ? std::span<const Range>(*many_) : std::span<const Range>(&one_, count());
    }
    bool empty() const { return all().empty(); }
    void insert(const Range& range);
    template <class Is>
    std::size_t erase_if(const Is& is) {
      if (many_) return std::erase_if(*many_, is);
      if (count() == 0 || !is(std::as_const(one_))) return 0;
      one_ = {};
      return 1;
    }
    void clear() {
      one_ = {};
      many_.reset();
    }

   private:
    std::size_t count() const { return one_.length == 0 ? 0 : 1; }
    Range one_;  // of length 0: there is none
    std::unique_ptr<std::vector<Range>> many_;
  };
  struct StagedFile {
    std::uint64_t name_at : 47 = 0;  // in names_
    std::uint64_t name_bytes : 14 = 0;
    bool made : 1 = false;   // it stands in tree()
    bool dirty : 1 = false;  // written since the last sync
    bool gone : 1 = false;   // given up
    std::uint64_t size = 0;
    Ranges ranges;
  };
  static_assert(sizeof(StagedFile) == 72);
  Staging(Files& files, TreeName folder) : files_(files), folder_(std::move(folder)) {}
  Result<> replay_one(Bytes record);
  Result<> replay_file(Bytes record);
  Result<> replay_chunks(Bytes record);
  Result<> replay_void(Bytes record);
  Result<> meet_disk();
  Result<> resize_file(FileNo no, std::uint64_t size);
  Result<std::shared_ptr<File>> handle(FileNo file);
  Result<std::shared_ptr<File>> create(FileNo file);
  Result<std::shared_ptr<File>> reopen(FileNo file);
  Result<> make_room(const StagedWrite& write);
  Result<> sync_each();
  StagedFile* file_at(FileNo no);  // null: no such, or given up
  FileNo add_record(const TreeName& name, std::uint64_t size);
  std::optional<FileNo> known(const TreeName& name) const;
  std::string_view text_of_name(const StagedFile& file) const {
    return names_.at(file.name_at, file.name_bytes);
  }
  TreeName name_of(const StagedFile& file) const { return TreeName::known(text_of_name(file)); }
  void place(StagedFile& file, const Range& range);
  void forget(StagedFile& file);
  static bool has(const StagedFile& file, const StagedChunk& chunk);
  static bool overlaps(const StagedFile& file, std::uint64_t offset, std::uint64_t length);
  tl::unexpected<Error> break_off(Error error);

  Files& files_;
  const TreeName folder_;
  std::mutex sync_mutex_;     // one epoch at a time; taken before mutex_
  mutable std::mutex mutex_;  // guards all below; not held while data is written or synced
  std::unique_ptr<Journal> journal_;
  Pile<StagedFile> staged_;  // about 110 bytes for a small file, its name and range included
  TextPile names_;
  NumberTable by_name_;                                        // of staged_, those given up too
  std::unordered_map<FileNo, std::shared_ptr<File>> handles_;  // at most kHandlesMax
  std::set<TreeName> dirty_folders_;                           // names in them are not durable yet
  std::size_t gone_ = 0;                                       // of staged_, given up
  std::uint64_t unsynced_bytes_ = 0;
  std::optional<Error> broken_;
  bool fresh_ = false;  // set once, by open()
};

}  // namespace longhaul::store
