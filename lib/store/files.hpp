// Files: the only door to a disk. One instance is rooted at one folder; every name is a TreeName
// below it, and no call follows a symbolic link, so that nothing outside the root can be read,
// written or even looked at through it. io::PosixFiles is the real one, CrashFiles (tests/sim) one
// that forgets what was not synced, as power loss does.
//
// What durable means here: bytes survive power loss after sync() of their file or sync_all(); a
// name (new, renamed, removed) after sync_folder() of its folder or sync_all(). An error from any
// sync means the bytes are gone as far as anyone knows: it is never to be retried as if it could
// succeed, the file is distrusted (fsync(2) reports an error once, then forgets it).
//
// Every call blocks and returns a Result, none throws: they belong into a Job's run(). All classes
// here may be used from several threads at once. Files outlives what it opened.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "lib/base/bytes.hpp"
#include "lib/base/units.hpp"
#include "lib/store/tree_name.hpp"

namespace longhaul::store {

enum class FileType : std::uint8_t { kFile, kFolder, kLink, kOther };  // other: device, fifo, ..

struct FileStat {
  FileType type = FileType::kOther;
  std::uint32_t mode = 0;  // permission bits with setuid, setgid, sticky: 07777
  std::uint64_t size = 0;
  WallTime mtime, ctime;
  std::uint64_t inode = 0, device = 0;
  std::uint64_t links = 1;
  std::uint64_t allocated = 0;  // bytes on disk; less than size: it has holes
  // Whether the file is still the same one with the same content, as far as its metadata tells.
  bool same_content_as(const FileStat& o) const {
    return type == o.type && size == o.size && mtime == o.mtime && ctime == o.ctime &&
           inode == o.inode && device == o.device;
  }
};

struct Extent {
  std::uint64_t offset = 0, length = 0;
  std::uint64_t end() const { return offset + length; }
  bool operator==(const Extent&) const = default;
};

enum class Access : std::uint8_t {
  kRead,
  kWrite,         // read and write what is there
  kCreate,        // new, read and write; kExists if the name is taken
  kOpenOrCreate,  // read and write
};
enum class Replace : std::uint8_t { kNo, kYes };

class File {
 public:
  virtual ~File() = default;
  virtual Result<FileStat> stat() = 0;
  // Fills `out` but for what lies behind the end of the file; returns the bytes read.
  virtual Result<std::size_t> read_at(MutableBytes out, std::uint64_t offset) = 0;
  virtual Result<> write_at(Bytes bytes, std::uint64_t offset) = 0;  // all of them, or an error
  virtual Result<> resize(std::uint64_t size) = 0;                   // growing leaves a hole
  virtual Result<> sync() = 0;  // content and size durable, not the name
  // The first data at or behind `offset`; nullopt: only holes from there to the end.
  virtual Result<std::optional<Extent>> next_data(std::uint64_t offset) = 0;
};

struct Found {
  std::string name;  // as on disk; judge before use
  FileStat stat;
};

class Folder {  // a listing under way
 public:
  virtual ~Folder() = default;
  // Up to `most` entries, in no particular order, without "." and ".."; none: the end. What
  // vanishes while listed is left out.
  virtual Result<std::vector<Found>> next(std::size_t most) = 0;
};

class FileLock {  // held until destroyed; the system drops it when the process dies
 public:
  virtual ~FileLock() = default;
};

struct FreeSpace {
  std::uint64_t bytes = 0;
  std::uint64_t files = 0;  // inodes; 0 where the system does not count them
};

class Files {
 public:
  Files() = default;
  virtual ~Files() = default;
  Files(const Files&) = delete;
  Files& operator=(const Files&) = delete;

  // Regular files only: a link, folder or device is kMalformed or kUnsupported.
  virtual Result<std::unique_ptr<File>> open(const TreeName& name, Access access) = 0;
  virtual Result<std::unique_ptr<Folder>> open_folder(const TreeName& name) = 0;
  virtual Result<FileStat> stat(const TreeName& name) = 0;  // of a link itself
  virtual Result<> make_folder(const TreeName& name) = 0;   // kExists if taken
  virtual Result<> rename(const TreeName& from, const TreeName& to, Replace replace) = 0;
  virtual Result<> link(const TreeName& from, const TreeName& to) = 0;  // a second hard link
  // A copy that shares blocks; kUnsupported where the file system cannot.
  virtual Result<> reflink(const TreeName& from, const TreeName& to) = 0;
  virtual Result<> remove(const TreeName& name) = 0;         // a file or link
  virtual Result<> remove_folder(const TreeName& name) = 0;  // an empty one
  virtual Result<> make_link(const std::string& target, const TreeName& name) = 0;  // symbolic
  virtual Result<std::string> read_link(const TreeName& name) = 0;
  // Permission bits (07777) of a file or folder; the second sets its time, too.
  virtual Result<> set_mode(const TreeName& name, std::uint32_t mode) = 0;
  virtual Result<> set_attributes(const TreeName& name, std::uint32_t mode, WallTime mtime) = 0;

  virtual Result<> sync_folder(const TreeName& name) = 0;
  virtual Result<> sync_all() = 0;  // everything ever written here, names too
  // Whether sync_all() reports lost writes (syncfs does since Linux 5.8, not on all network file
  // systems); if not, each file and folder must be synced by itself.
  virtual bool sync_all_reports() const = 0;
  virtual Result<FreeSpace> free_space() = 0;
  // kBusy while another process, or another lock of this one, holds it. Creates the file.
  virtual Result<std::unique_ptr<FileLock>> lock(const TreeName& name) = 0;
  // Blocks this job for so long, where another one's change is waited for.
  virtual void pause(Duration span) = 0;
  // Names this boot of the machine: what was written but not synced is still there while it has
  // not changed.
  virtual std::string boot_id() const = 0;
};

// make_folder of the folder and all above it that are missing.
Result<> make_folders(Files& files, const TreeName& name);
// The tree below and including `name`, read-only folders too; nothing there is no error.
Result<> remove_tree(Files& files, const TreeName& name);
// A whole small file; kLimit if larger than `most`.
Result<ByteVector> read_whole(Files& files, const TreeName& name, std::size_t most);
// Replaces `name` by a file with these bytes so that power loss leaves the old or the new one:
// written beside it, synced, renamed, folder synced.
Result<> write_whole(Files& files, const TreeName& name, Bytes bytes, std::uint32_t mode = 0644,
                     Bytes more = {});

}  // namespace longhaul::store
