// File: one open file, whole reads and writes at an offset, and the few moves that put a file or
// folder in place atomically. Blocks; any thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "lib/base/bytes.hpp"
#include "lib/base/result.hpp"

namespace longhaul::trainer {

using Path = std::filesystem::path;

class File {
 public:
  static Result<File> open_to_read(const Path& path);
  static Result<File> create(const Path& path);  // truncates what is there
  // kExists if it is there: the one atomic way to claim a name.
  static Result<File> create_new(const Path& path);
  static Result<File> open_to_append(const Path& path);  // and to read
  File(File&& other) noexcept;
  File& operator=(File&& other) noexcept;
  ~File();

  const Path& path() const { return path_; }
  Result<std::uint64_t> size() const;
  // All of `out`, or kChanged when the file ends before: it was longer when its size was read.
  Result<> read_at(std::uint64_t offset, MutableBytes out) const;
  Result<> write(Bytes bytes);  // at the end of what was written so far; kNoSpace when full
  Result<> write_at(std::uint64_t offset, Bytes bytes);
  Result<> sync();
  Result<> truncate(std::uint64_t bytes);

 private:
  File(Path path, int fd) : path_(std::move(path)), fd_(fd) {}
  static Result<File> open(const Path& path, int flags, const char* attempt);
  Path path_;
  int fd_ = -1;
};

Result<std::string> read_text(const Path& path, std::uint64_t max_bytes);
// That failure, of what the file holds: named by the file, with what its reader can do about it.
tl::unexpected<Error> fail_in(const Path& path, const Error& why, std::string advice);
// A new file of that content under a name beside `path`, synced, then renamed over it.
Result<> write_text_atomically(const Path& path, std::string_view text);
// The same for a name that is given once: kExists, and that file as it is, if it is there. Of all
// that write one name, on one host or on several, one wins.
Result<> write_text_once(const Path& path, std::string_view text);
Result<> sync_folder(const Path& folder);
Result<> move_file(const Path& from, const Path& to);
// Each gets the other's name, at once; false, and nothing is changed: not on this file system
// (NFS).
bool swap_names(const Path& one, const Path& other);
Result<> make_folders(const Path& folder);
Result<std::uint64_t> free_bytes(
    const Path& folder);  // of the file system; no quota is known to it
// Whether so much more may be written there, also by a user with a quota: reserves that and gives
// it back. kNoSpace: no. A file system that reserves nothing (NFS before 4.2, say) is believed.
Result<> try_room(const Path& folder, std::uint64_t bytes);

}  // namespace longhaul::trainer
