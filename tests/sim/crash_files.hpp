// CrashFiles: a disk in memory that forgets. Everything written is seen at once, as in a page
// cache, but survives lose_power() for sure only if it was synced; what was not synced survives in
// any combination a disk may leave: each name operation by itself, each write by 512-byte sectors.
// Every changing call is numbered, so that a test can stop the machine behind each one, or let each
// one fail. A sync that fails forgets what it should have kept, and the next one says "ok": that is
// what fsync does.
//
//   for (std::uint64_t stop = 1;; ++stop) {
//     CrashFiles disk;
//     disk.stop_after(stop);                  // every call from there fails: the power is off
//     if (run(disk)) break;                   // it came through: all points are seen
//     disk.lose_power(CrashFiles::Keep::subset(seed));
//     check(disk);
//   }
//
// Thread-safe. Holes: 4 KiB of zeros count as one. A file holds 256 MiB at most.
#pragma once

#include <atomic>
#include <limits>
#include <map>
#include <mutex>
#include <set>
#include <vector>

#include "lib/base/rng.hpp"
#include "lib/store/files.hpp"

namespace longhaul::sim {

class CrashFiles final : public store::Files {
 public:
  struct Options {
    bool sync_all_reports = true;
    bool can_reflink = false;
    bool can_link = true;
  };
  // What of the unsynced operations reaches the disk.
  class Keep {
   public:
    static Keep none() { return Keep(Way::kNone, 0); }
    static Keep prefix(std::uint64_t operations) { return Keep(Way::kPrefix, operations); }
    static Keep subset(std::uint64_t seed) { return Keep(Way::kSubset, seed); }

   private:
    friend class CrashFiles;
    enum class Way : std::uint8_t { kNone, kPrefix, kSubset };
    Keep(Way way, std::uint64_t number) : way_(way), number_(number) {}
    Way way_;
    std::uint64_t number_;
  };

  CrashFiles() : CrashFiles(Options{}) {}
  explicit CrashFiles(Options options);

  void stop_after(std::uint64_t changes);  // that many more succeed, then every call fails
  // The change that comes after so many others fails with `error`, once.
  void fail_change(std::uint64_t after, Error error);
  std::uint64_t changes() const;             // made so far
  std::uint64_t read_bytes() const;          // of files, so far
  std::uint64_t unsynced() const;            // operations that power loss may take
  void lose_power(Keep keep);                // and boots again: a new boot_id, no locks
  void kill_process();                       // nothing is lost, locks are free
  void set_free_bytes(std::uint64_t bytes);  // writes beyond it are kNoSpace
  void set_clock(WallTime now);
  void rot(const store::TreeName& name, std::uint64_t offset);  // flips a bit behind our back
  // Syncs that do nothing, to show that a test would notice: the nth from now is left out.
  void skip_sync(std::uint64_t nth);
  std::uint64_t syncs() const;
  std::size_t open_files() const { return open_files_; }

  Result<std::unique_ptr<store::File>> open(const store::TreeName& name,
                                            store::Access access) override;
  Result<std::unique_ptr<store::Folder>> open_folder(const store::TreeName& name) override;
  Result<store::FileStat> stat(const store::TreeName& name) override;
  Result<> make_folder(const store::TreeName& name) override;
  Result<> rename(const store::TreeName& from, const store::TreeName& to,
                  store::Replace replace) override;
  Result<> link(const store::TreeName& from, const store::TreeName& to) override;
  Result<> reflink(const store::TreeName& from, const store::TreeName& to) override;
  Result<> remove(const store::TreeName& name) override;
  Result<> remove_folder(const store::TreeName& name) override;
  Result<> make_link(const std::string& target, const store::TreeName& name) override;
  Result<std::string> read_link(const store::TreeName& name) override;
  Result<> set_mode(const store::TreeName& name, std::uint32_t mode) override;
  Result<> set_attributes(const store::TreeName& name, std::uint32_t mode, WallTime mtime) override;
  Result<> sync_folder(const store::TreeName& name) override;
  Result<> sync_all() override;
  bool sync_all_reports() const override { return options_.sync_all_reports; }
  Result<store::FreeSpace> free_space() override;
  Result<std::unique_ptr<store::FileLock>> lock(const store::TreeName& name) override;
  void pause(Duration) override {}  // time is the simulation's own
  std::string boot_id() const override;

 private:
  using NodeNo = std::size_t;
  static constexpr NodeNo kRoot = 0, kNone = std::numeric_limits<NodeNo>::max();
  struct State {  // of a node: as seen, and as it would be after power loss
    ByteVector content;
    std::map<std::string, NodeNo> names;
    std::uint32_t mode = 0644;
    WallTime mtime;
  };
  struct Node {
    store::FileType type = store::FileType::kFile;
    State seen, kept;
    WallTime ctime;
    std::uint64_t links = 0;
  };
  struct Change {  // not yet synced
    enum class What : std::uint8_t { kWrite, kResize, kAttributes, kNames } what = What::kWrite;
    NodeNo node = kNone;       // file; kNames: the folder that gains or loses
    std::uint64_t offset = 0;  // or size
    ByteVector bytes;
    std::uint32_t mode = 0;
    WallTime mtime;
    std::string name;
    NodeNo target = kNone;      // kNames: what stands there then; none: nothing
    NodeNo old_folder = kNone;  // rename: where it stood
    std::string old_name;
  };
  struct Place {
    NodeNo folder = kNone;
    std::string last;
    NodeNo node = kNone;  // none: nothing of that name
  };
  class OpenFile;
  class OpenFolder;
  class HeldLock;

  std::uint64_t read_bytes_ = 0;
  Result<> admit(const char* attempt);         // before any call: is the power on?
  Result<> admit_change(const char* attempt);  // and before one that changes something
  Result<Place> find(const store::TreeName& name, const char* attempt);
  NodeNo add_node(store::FileType type, std::uint32_t mode);
  void change_names(Change change);
  void apply(const Change& change);  // to what is kept
  void apply_torn(const Change& change, Rng& rng);
  template <class Pick>
  Result<> sync_where(const char* attempt, Pick pick);
  store::FileStat stat_of(NodeNo no) const;
  WallTime tick();
  std::uint64_t used_bytes() const;
  Result<> write_node(NodeNo no, Bytes bytes, std::uint64_t offset);
  Result<> resize_node(NodeNo no, std::uint64_t size);
  Result<> sync_node(NodeNo no);

  const Options options_;
  mutable std::mutex mutex_;
  std::atomic<std::size_t> open_files_ = 0;
  std::vector<Node> nodes_;
  std::vector<Change> pending_;
  std::set<std::string> locks_;
  std::uint64_t boot_ = 1;
  std::uint64_t changes_ = 0, syncs_ = 0;
  std::uint64_t stop_at_ = std::numeric_limits<std::uint64_t>::max();
  std::uint64_t fail_at_ = std::numeric_limits<std::uint64_t>::max();
  std::uint64_t skip_sync_at_ = std::numeric_limits<std::uint64_t>::max();
  Error failure_;
  std::uint64_t free_bytes_ = 1ULL << 40;
  std::int64_t clock_ns_ = 1'700'000'000'000'000'000;
};

}  // namespace longhaul::sim
