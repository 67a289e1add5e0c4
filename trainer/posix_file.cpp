#include "trainer/posix_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <system_error>
#include <utility>

#include "lib/base/escape.hpp"

namespace longhaul::trainer {
namespace {

constexpr mode_t kFileMode = 0644;

std::string named(const char* verb, const Path& path) {
  return fmt::format("{} {}", verb, printable(path.native()));
}

Path folder_of(const Path& path) {
  return path.has_parent_path() ? path.parent_path() : Path(".");
}

Result<> write_synced(const Path& path, std::string_view text) {
  File file = TRY(File::create(path));
  TRY(file.write(bytes_of(text)));
  return file.sync();
}

}  // namespace

Result<File> File::open(const Path& path, int flags, const char* attempt) {
  int fd = -1;
  do {
    fd = ::open(path.c_str(), flags | O_CLOEXEC, kFileMode);
  } while (fd < 0 && errno == EINTR);
  if (fd < 0) return fail_errno(named(attempt, path), errno);
  return File(path, fd);
}

Result<File> File::open_to_read(const Path& path) {
  File file = TRY(open(path, O_RDONLY, "open"));
  struct stat info {};
  if (::fstat(file.fd_, &info) != 0) return fail_errno(named("look at", path), errno);
  if (!S_ISREG(info.st_mode)) return fail(Kind::kUsage, named("open", path), "not a plain file");
  return file;
}
Result<File> File::create(const Path& path) {
  return open(path, O_WRONLY | O_CREAT | O_TRUNC, "create");
}
Result<File> File::create_new(const Path& path) {
  return open(path, O_WRONLY | O_CREAT | O_EXCL, "create");
}
Result<File> File::open_to_append(const Path& path) {
  return open(path, O_RDWR | O_CREAT | O_APPEND, "open");
}

File::File(File&& other) noexcept
    : path_(std::move(other.path_)), fd_(std::exchange(other.fd_, -1)) {}
File& File::operator=(File&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(fd_, other.fd_);
  return *this;
}
File::~File() {
  if (fd_ >= 0) ::close(fd_);
}

Result<std::uint64_t> File::size() const {
  struct stat info {};
  if (::fstat(fd_, &info) != 0) return fail_errno(named("look at", path_), errno);
  return static_cast<std::uint64_t>(info.st_size);
}

Result<> File::read_at(std::uint64_t offset, MutableBytes out) const {
  while (!out.empty()) {
    const ssize_t got = ::pread(fd_, out.data(), out.size(), static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail_errno(named("read", path_), errno);
    if (got == 0)
      return fail(Kind::kChanged, named("read", path_), "it ends earlier than it did at the start");
    out = out.subspan(static_cast<std::size_t>(got));
    offset += static_cast<std::uint64_t>(got);
  }
  return {};
}

Result<> File::write(Bytes bytes) {
  while (!bytes.empty()) {
    const ssize_t put = ::write(fd_, bytes.data(), bytes.size());
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return fail_errno(named("write", path_), errno);
    bytes = bytes.subspan(static_cast<std::size_t>(put));
  }
  return {};
}

Result<> File::write_at(std::uint64_t offset, Bytes bytes) {
  while (!bytes.empty()) {
    const ssize_t put = ::pwrite(fd_, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return fail_errno(named("write", path_), errno);
    bytes = bytes.subspan(static_cast<std::size_t>(put));
    offset += static_cast<std::uint64_t>(put);
  }
  return {};
}

Result<> File::sync() {
  if (::fsync(fd_) != 0) return fail_errno(named("sync", path_), errno);
  return {};
}

Result<> File::truncate(std::uint64_t bytes) {
  if (::ftruncate(fd_, static_cast<off_t>(bytes)) != 0)
    return fail_errno(named("truncate", path_), errno);
  return {};
}

tl::unexpected<Error> fail_in(const Path& path, const Error& why, std::string advice) {
  return fail(
      Error(why.kind(), "read " + printable(path.native()), why.why()).advise(std::move(advice)));
}

Result<std::string> read_text(const Path& path, std::uint64_t max_bytes) {
  const File file = TRY(File::open_to_read(path));
  const std::uint64_t bytes = TRY(file.size());
  if (bytes > max_bytes)
    return fail(Kind::kLimit, named("read", path), fmt::format("over {} bytes", max_bytes));
  std::string text(bytes, '\0');
  TRY(file.read_at(0, std::as_writable_bytes(std::span(text.data(), text.size()))));
  return text;
}

Result<> write_text_atomically(const Path& path, std::string_view text) {
  Path beside = path;
  beside += ".new";
  TRY(write_synced(beside, text));
  TRY(move_file(beside, path));
  return sync_folder(folder_of(path));
}

Result<> write_text_once(const Path& path, std::string_view text) {
  std::array<char, 64> host{};
  static_cast<void>(::gethostname(host.data(), host.size() - 1));
  Path beside = path;
  beside += fmt::format(".{}.{}", printable(host.data()), ::getpid());
  TRY(write_synced(beside, text));
  const int linked = ::link(beside.c_str(), path.c_str()), os = errno;
  ::unlink(beside.c_str());
  if (linked != 0) return fail_errno(named("make", path), os);
  return sync_folder(folder_of(path));
}

Result<> sync_folder(const Path& folder) {
  const int fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return fail_errno(named("open", folder), errno);
  const int status = ::fsync(fd), os = errno;
  ::close(fd);
  if (status != 0) return fail_errno(named("sync", folder), os);
  return {};
}

Result<> move_file(const Path& from, const Path& to) {
  if (::rename(from.c_str(), to.c_str()) != 0) return fail_errno(named("rename to", to), errno);
  return {};
}

bool swap_names(const Path& one, const Path& other) {
  return ::renameat2(AT_FDCWD, one.c_str(), AT_FDCWD, other.c_str(), RENAME_EXCHANGE) == 0;
}

Result<> make_folders(const Path& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) return fail_errno(named("make the folder", folder), error.value());
  return {};
}

Result<> try_room(const Path& folder, std::uint64_t bytes) {
  std::string name = (folder / ".room-XXXXXX").native();
  const int fd = ::mkostemp(name.data(), O_CLOEXEC);
  if (fd < 0) return fail_errno(named("make a file in", folder), errno);
  ::unlink(name.c_str());
  int status = 0;
  do {
    status = ::fallocate(fd, 0, 0, static_cast<off_t>(bytes));
  } while (status != 0 && errno == EINTR);
  const int os = status == 0 ? 0 : errno;
  ::close(fd);
  if (os == ENOSPC || os == EDQUOT) return fail_errno(named("reserve room in", folder), os);
  return {};
}

Result<std::uint64_t> free_bytes(const Path& folder) {
  struct statvfs info {};
  if (::statvfs(folder.c_str(), &info) != 0)
    return fail_errno(named("ask for the free space of", folder), errno);
  return static_cast<std::uint64_t>(info.f_bavail) * info.f_frsize;
}

}  // namespace longhaul::trainer
