#include "lib/io/posix_files.hpp"

#include <fcntl.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <sys/ioctl.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <ctime>
#include <thread>

#include "lib/io/posix_file.hpp"

namespace longhaul::io {

using store::Access;
using store::TreeName;

namespace {

constexpr mode_t kNewFileMode = 0644, kNewFolderMode = 0755;

int flags_of(Access access) {
  switch (access) {
    case Access::kRead:
      return O_RDONLY;
    case Access::kWrite:
      return O_RDWR;
    case Access::kCreate:
      return O_RDWR | O_CREAT | O_EXCL;
    case Access::kOpenOrCreate:
      return O_RDWR | O_CREAT;
  }
  return O_RDONLY;
}

// syncfs reports lost writes since Linux 5.8, and only where the file system keeps count of them.
bool syncfs_reports(int root) {
  struct statfs fs {};
  utsname kernel{};
  unsigned major = 0, minor = 0;
  if (::fstatfs(root, &fs) != 0 || ::uname(&kernel) != 0) return false;
  if (std::sscanf(kernel.release, "%u.%u", &major, &minor) != 2) return false;
  if (major < 5 || (major == 5 && minor < 8)) return false;
  constexpr std::array<unsigned long, 5> kCounting = {
      EXT4_SUPER_MAGIC, XFS_SUPER_MAGIC, BTRFS_SUPER_MAGIC, F2FS_SUPER_MAGIC, TMPFS_MAGIC};
  return std::find(kCounting.begin(), kCounting.end(), static_cast<unsigned long>(fs.f_type)) !=
         kCounting.end();
}

std::string read_boot_id() {
  const Fd fd(::open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC));
  std::array<char, 64> text{};
  const ssize_t n = fd.is_open() ? ::read(fd.get(), text.data(), text.size()) : -1;
  if (n <= 0) return {};
  std::string id(text.data(), static_cast<std::size_t>(n));
  while (!id.empty() && id.back() == '\n') id.pop_back();
  return id;
}

std::string proc_name(const Fd& fd) {
  return "/proc/self/fd/" + std::to_string(fd.get());
}

// Changing the mode of a pinned file of any mode needs its name in /proc: fchmod refuses O_PATH.
// Where no /proc is mounted (a bare chroot) a readable file is opened again and changed by that.
int change_mode(const Beneath& beneath, const TreeName& name, const Fd& pinned,
                std::uint32_t mode) {
  if (::chmod(proc_name(pinned).c_str(), mode & 07777U) == 0) return 0;
  if (errno != ENOENT) return errno;
  const auto opened = beneath.open(name, O_RDONLY | O_NONBLOCK | O_NOFOLLOW);
  if (!opened) return opened.error().os();
  struct stat was {
  }, is{};
  const bool same = ::fstat(pinned.get(), &was) == 0 && ::fstat(opened->get(), &is) == 0 &&
                    was.st_dev == is.st_dev && was.st_ino == is.st_ino;
  if (!same) return ELOOP;  // it was exchanged meanwhile
  return ::fchmod(opened->get(), mode & 07777U) == 0 ? 0 : errno;
}

}  // namespace

Result<std::unique_ptr<PosixFiles>> PosixFiles::at(const std::string& folder, Resolve resolve) {
  Beneath beneath = TRY(Beneath::at(folder, resolve));
  const bool reports = syncfs_reports(beneath.root());
  return std::unique_ptr<PosixFiles>(new PosixFiles(std::move(beneath), reports, read_boot_id()));
}

Result<std::unique_ptr<store::File>> PosixFiles::open(const TreeName& name, Access access) {
  // O_NONBLOCK: a fifo somebody put there must not hold the thread for ever.
  Fd fd = TRY(beneath_.open(name, flags_of(access) | O_NONBLOCK | O_NOCTTY, kNewFileMode));
  if (access == Access::kCreate)  // nothing but a file can have been made
    return make_posix_file(std::move(fd), name, sync_failed_);
  struct stat raw {};
  if (::fstat(fd.get(), &raw) != 0) return fail_on("open", name, errno);
  if (!S_ISREG(raw.st_mode))
    return fail(Kind::kUnsupported, "open " + name.shown(), "it is not a regular file");
  return make_posix_file(std::move(fd), name, sync_failed_);
}

Result<std::unique_ptr<store::Folder>> PosixFiles::open_folder(const TreeName& name) {
  return make_posix_folder(TRY(beneath_.open(name, O_RDONLY | O_DIRECTORY)), name);
}

Result<store::FileStat> PosixFiles::stat(const TreeName& name) {
  struct stat raw {};
  if (name.is_root()) {
    if (::fstat(beneath_.root(), &raw) != 0) return fail_on("stat", name, errno);
    return stat_of(raw);
  }
  const Beneath::Place place = TRY(beneath_.place(name, "stat"));
  if (::fstatat(place.folder.get(), place.last.c_str(), &raw, AT_SYMLINK_NOFOLLOW) != 0)
    return fail_on("stat", name, errno);
  return stat_of(raw);
}

Result<> PosixFiles::make_folder(const TreeName& name) {
  const Beneath::Place place = TRY(beneath_.place(name, "make the folder"));
  if (::mkdirat(place.folder.get(), place.last.c_str(), kNewFolderMode) != 0)
    return fail_on("make the folder", name, errno);
  return {};
}

Result<> PosixFiles::rename(const TreeName& from, const TreeName& to, store::Replace replace) {
  const Beneath::Place old_place = TRY(beneath_.place(from, "rename"));
  const Beneath::Place new_place = TRY(beneath_.place(to, "rename to"));
  const bool keep = replace == store::Replace::kNo;
  if (::renameat2(old_place.folder.get(), old_place.last.c_str(), new_place.folder.get(),
                  new_place.last.c_str(), keep ? RENAME_NOREPLACE : 0U) == 0)
    return {};
  if (!keep || errno != EINVAL) return fail_on("rename to", to, errno);
  // NFS and some others know no such flag. Our root is locked against a second process, so that
  // looking first is as good there.
  struct stat raw {};
  if (::fstatat(new_place.folder.get(), new_place.last.c_str(), &raw, AT_SYMLINK_NOFOLLOW) == 0)
    return fail_on("rename to", to, EEXIST);
  if (::renameat(old_place.folder.get(), old_place.last.c_str(), new_place.folder.get(),
                 new_place.last.c_str()) != 0)
    return fail_on("rename to", to, errno);
  return {};
}

Result<> PosixFiles::link(const TreeName& from, const TreeName& to) {
  const Beneath::Place old_place = TRY(beneath_.place(from, "link"));
  const Beneath::Place new_place = TRY(beneath_.place(to, "link to"));
  if (::linkat(old_place.folder.get(), old_place.last.c_str(), new_place.folder.get(),
               new_place.last.c_str(), 0) != 0) {
    if (errno == EXDEV || errno == EMLINK || errno == EPERM || errno == EOPNOTSUPP)
      return fail(Kind::kUnsupported, "link to " + to.shown(), "no hard link is possible there");
    return fail_on("link to", to, errno);
  }
  return {};
}

Result<> PosixFiles::reflink(const TreeName& from, const TreeName& to) {
  const auto unsupported = [&to] {
    return fail(Kind::kUnsupported, "share blocks with " + to.shown(), "not on this file system");
  };
  // Trying costs a file made and removed. 100,000 of those took ext4 23 of 24 s of a push, most of
  // it in search of inodes that were not freed a moment ago. A root is on one file system; what
  // somebody mounted below it is linked or copied, then.
  if (no_reflinks_.load(std::memory_order_relaxed)) return unsupported();
  const Fd source = TRY(beneath_.open(from, O_RDONLY | O_NONBLOCK));
  const Fd copy = TRY(beneath_.open(to, O_WRONLY | O_CREAT | O_EXCL, kNewFileMode));
  if (::ioctl(copy.get(), FICLONE, source.get()) == 0) return {};
  const int os = errno;
  // EXDEV and EINVAL may be about these two files alone.
  if (os == EOPNOTSUPP || os == ENOTTY || os == ENOSYS) no_reflinks_.store(true);
  TRY(remove(to));
  if (os == EOPNOTSUPP || os == EXDEV || os == EINVAL || os == ENOTTY || os == ENOSYS)
    return unsupported();
  return fail_on("share blocks with", to, os);
}

Result<> PosixFiles::remove(const TreeName& name) {
  const Beneath::Place place = TRY(beneath_.place(name, "remove"));
  if (::unlinkat(place.folder.get(), place.last.c_str(), 0) != 0)
    return fail_on("remove", name, errno);
  return {};
}

Result<> PosixFiles::remove_folder(const TreeName& name) {
  const Beneath::Place place = TRY(beneath_.place(name, "remove"));
  if (::unlinkat(place.folder.get(), place.last.c_str(), AT_REMOVEDIR) != 0)
    return fail_on("remove", name, errno);
  return {};
}

Result<> PosixFiles::make_link(const std::string& target, const TreeName& name) {
  const Beneath::Place place = TRY(beneath_.place(name, "make the link"));
  if (::symlinkat(target.c_str(), place.folder.get(), place.last.c_str()) != 0)
    return fail_on("make the link", name, errno);
  return {};
}

Result<std::string> PosixFiles::read_link(const TreeName& name) {
  const Beneath::Place place = TRY(beneath_.place(name, "read the link"));
  std::string target(store::kPathBytesMax + 1, '\0');
  const ssize_t n =
      ::readlinkat(place.folder.get(), place.last.c_str(), target.data(), target.size());
  if (n < 0) return fail_on("read the link", name, errno);
  target.resize(static_cast<std::size_t>(n));
  return target;
}

Result<Fd> PosixFiles::open_to_change(const TreeName& name, const char* attempt) const {
  Fd fd = TRY(beneath_.open(name, O_PATH));
  struct stat raw {};
  if (::fstat(fd.get(), &raw) != 0) return fail_on(attempt, name, errno);
  if (S_ISLNK(raw.st_mode)) return fail_on(attempt, name, ELOOP);
  return fd;
}

Result<> PosixFiles::set_mode(const TreeName& name, std::uint32_t mode) {
  const Fd fd = TRY(open_to_change(name, "change the mode of"));
  const int os = change_mode(beneath_, name, fd, mode);
  if (os != 0) return fail_on("change the mode of", name, os);
  return {};
}

Result<> PosixFiles::set_attributes(const TreeName& name, std::uint32_t mode, WallTime mtime) {
  std::int64_t seconds = mtime.ns / 1'000'000'000, rest = mtime.ns % 1'000'000'000;
  if (rest < 0) {
    --seconds;
    rest += 1'000'000'000;
  }
  const timespec times[2] = {{0, UTIME_OMIT}, {seconds, rest}};
  // By /proc it takes four times as long, and a publish does it for each of its files: only where
  // this user may not read what is his.
  if (const auto readable = beneath_.open(name, O_RDONLY | O_NONBLOCK | O_NOCTTY)) {
    if (::futimens(readable->get(), times) != 0) return fail_on("set the time of", name, errno);
    if (::fchmod(readable->get(), mode & 07777U) != 0)
      return fail_on("change the mode of", name, errno);
    return {};
  }
  const Fd fd = TRY(open_to_change(name, "set mode and time of"));
  const bool by_proc = ::utimensat(AT_FDCWD, proc_name(fd).c_str(), times, 0) == 0;
  if (!by_proc && (errno != ENOENT || ::utimensat(fd.get(), "", times, AT_EMPTY_PATH) != 0))
    return fail_on("set the time of", name, errno);
  const int os = change_mode(beneath_, name, fd, mode);
  if (os != 0) return fail_on("change the mode of", name, os);
  return {};
}

Result<> PosixFiles::sync_folder(const TreeName& name) {
  const Fd fd = TRY(beneath_.open(name, O_RDONLY | O_DIRECTORY));
  if (::fsync(fd.get()) == 0) return {};
  const int os = errno;
  sync_failed_.store(true);
  return fail_on("sync the folder", name, os);
}

Result<> PosixFiles::sync_all() {
  if (sync_failed_.load())
    return fail(Kind::kIo, "sync the disk", "an earlier sync failed; restart after repairing it");
  if (::syncfs(beneath_.root()) == 0) return {};
  const int os = errno;
  sync_failed_.store(true);
  return fail_errno("sync the disk", os);
}

Result<store::FreeSpace> PosixFiles::free_space() {
  struct statvfs fs {};
  if (::fstatvfs(beneath_.root(), &fs) != 0) return fail_errno("ask for free space", errno);
  return store::FreeSpace{static_cast<std::uint64_t>(fs.f_bavail) * fs.f_frsize,
                          fs.f_files == 0 ? 0 : static_cast<std::uint64_t>(fs.f_favail)};
}

void PosixFiles::set_lock_folder(std::shared_ptr<PosixFiles> folder, std::string prefix) {
  lock_folder_ = std::move(folder);
  lock_prefix_ = std::move(prefix);
}

Result<std::unique_ptr<store::FileLock>> PosixFiles::lock(const TreeName& name) {
  auto here = lock_here(name);
  if (here || here.error().kind() != Kind::kUnsupported || !lock_folder_) return here;
  std::string flat = lock_prefix_ + name.text();
  std::replace(flat.begin(), flat.end(), '/', '+');
  return lock_folder_->lock_here(TRY(TreeName::parse(flat)));
}

Result<std::unique_ptr<store::FileLock>> PosixFiles::lock_here(const TreeName& name) {
  Fd fd = TRY(beneath_.open(name, O_RDWR | O_CREAT | O_NONBLOCK, 0600));
  struct stat held {
  }, there{};
  if (::fstat(fd.get(), &held) != 0) return fail_on("lock", name, errno);
  auto lock = TRY(make_posix_lock(std::move(fd), name));
  // Its last holder may have removed the file meanwhile; the next one locks a new file.
  const auto again = beneath_.open(name, O_PATH);
  if (again && ::fstat(again->get(), &there) == 0 && held.st_ino == there.st_ino &&
      held.st_dev == there.st_dev)
    return lock;
  return fail(Kind::kBusy, "lock " + name.shown(), "its file was replaced; try again");
}

void PosixFiles::pause(Duration span) {
  std::this_thread::sleep_for(span);
}

}  // namespace longhaul::io
