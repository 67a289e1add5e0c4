#include "lib/io/posix_file.hpp"

#include <dirent.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace longhaul::io {

using store::TreeName;

namespace {

WallTime wall_of(const timespec& t) {
  return WallTime{static_cast<std::int64_t>(t.tv_sec) * 1'000'000'000 + t.tv_nsec};
}

class PosixFile final : public store::File {
 public:
  PosixFile(Fd fd, TreeName name, std::atomic<bool>& sync_failed)
      : fd_(std::move(fd)), name_(std::move(name)), sync_failed_(sync_failed) {}

  Result<store::FileStat> stat() override {
    struct stat raw {};
    if (::fstat(fd_.get(), &raw) != 0) return fail_on("stat", name_, errno);
    return stat_of(raw);
  }

  Result<std::size_t> read_at(MutableBytes out, std::uint64_t offset) override {
    std::size_t done = 0;
    while (done < out.size()) {
      const ssize_t n = ::pread(fd_.get(), out.data() + done, out.size() - done,
                                static_cast<off_t>(offset + done));
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return fail_on("read", name_, errno);
      if (n == 0) break;
      done += static_cast<std::size_t>(n);
    }
    return done;
  }

  Result<> write_at(Bytes bytes, std::uint64_t offset) override {
    while (!bytes.empty()) {
      const ssize_t n = ::pwrite(fd_.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset));
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return fail_on("write", name_, errno);
      if (n == 0) return fail_on("write", name_, EIO);
      bytes = bytes.subspan(static_cast<std::size_t>(n));
      offset += static_cast<std::uint64_t>(n);
    }
    return {};
  }

  Result<> resize(std::uint64_t size) override {
    int rc;
    do {
      rc = ::ftruncate(fd_.get(), static_cast<off_t>(size));
    } while (rc != 0 && errno == EINTR);
    if (rc != 0) return fail_on("resize", name_, errno);
    return {};
  }

  Result<> sync() override {
    if (::fdatasync(fd_.get()) == 0) return {};
    const int os = errno;
    sync_failed_.store(true);
    return fail_on("sync", name_, os);
  }

  Result<std::optional<store::Extent>> next_data(std::uint64_t offset) override {
    const off_t start = ::lseek(fd_.get(), static_cast<off_t>(offset), SEEK_DATA);
    if (start < 0 && errno == ENXIO) return std::optional<store::Extent>();
    if (start < 0 && errno != EINVAL) return fail_on("find data in", name_, errno);
    const off_t end = start < 0 ? -1 : ::lseek(fd_.get(), start, SEEK_HOLE);
    if (end < 0) {  // no holes known here: all of it is data
      const auto now = TRY(stat());
      if (now.size <= offset) return std::optional<store::Extent>();
      return std::optional(store::Extent{offset, now.size - offset});
    }
    return std::optional(
        store::Extent{static_cast<std::uint64_t>(start), static_cast<std::uint64_t>(end - start)});
  }

 private:
  Fd fd_;
  TreeName name_;
  std::atomic<bool>& sync_failed_;
};

class PosixFolder final : public store::Folder {
 public:
  PosixFolder(DIR* dir, TreeName name) : dir_(dir), name_(std::move(name)) {}
  ~PosixFolder() override { ::closedir(dir_); }

  Result<std::vector<store::Found>> next(std::size_t most) override {
    std::vector<store::Found> found;
    while (found.size() < most) {
      errno = 0;
      const dirent* entry = ::readdir(dir_);
      if (entry == nullptr) {
        if (errno != 0) return fail_on("list", name_, errno);
        break;
      }
      if (std::strcmp(entry->d_name, ".") == 0 || std::strcmp(entry->d_name, "..") == 0) continue;
      struct stat raw {};
      if (::fstatat(::dirfd(dir_), entry->d_name, &raw, AT_SYMLINK_NOFOLLOW) != 0) {
        if (errno == ENOENT) continue;  // gone since
        return fail_on("list", name_, errno);
      }
      found.push_back({entry->d_name, stat_of(raw)});
    }
    return found;
  }

 private:
  DIR* dir_;
  TreeName name_;
};

class PosixLock final : public store::FileLock {
 public:
  explicit PosixLock(Fd fd) : fd_(std::move(fd)) {}

 private:
  Fd fd_;  // closing it drops the lock
};

}  // namespace

store::FileStat stat_of(const struct stat& raw) {
  store::FileStat stat;
  stat.type = S_ISREG(raw.st_mode)   ? store::FileType::kFile
              : S_ISDIR(raw.st_mode) ? store::FileType::kFolder
              : S_ISLNK(raw.st_mode) ? store::FileType::kLink
                                     : store::FileType::kOther;
  stat.mode = raw.st_mode & 07777U;
  stat.size = static_cast<std::uint64_t>(raw.st_size);
  stat.mtime = wall_of(raw.st_mtim);
  stat.ctime = wall_of(raw.st_ctim);
  stat.inode = raw.st_ino;
  stat.device = raw.st_dev;
  stat.links = raw.st_nlink;
  stat.allocated = static_cast<std::uint64_t>(raw.st_blocks) * 512;
  return stat;
}

std::unique_ptr<store::File> make_posix_file(Fd fd, TreeName name, std::atomic<bool>& sync_failed) {
  return std::make_unique<PosixFile>(std::move(fd), std::move(name), sync_failed);
}

Result<std::unique_ptr<store::Folder>> make_posix_folder(Fd fd, const TreeName& name) {
  DIR* dir = ::fdopendir(fd.get());
  if (dir == nullptr) return fail_on("list", name, errno);
  fd.release();  // the DIR owns it now
  return std::make_unique<PosixFolder>(dir, name);
}

Result<std::unique_ptr<store::FileLock>> make_posix_lock(Fd fd, const TreeName& name) {
  if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno == EWOULDBLOCK)
      return fail(Kind::kBusy, "lock " + name.shown(), "another process holds it");
    if (errno == ENOSYS || errno == EOPNOTSUPP || errno == ENOLCK)  // Lustre, NFS, mounted without
      return fail(Error(Kind::kUnsupported, "lock " + name.shown(), "its file system has no locks")
                      .advise("mount it with locks, or give the streamer --state DIR on a disk of "
                              "this host"));
    return fail_on("lock", name, errno);
  }
  return std::make_unique<PosixLock>(std::move(fd));
}

}  // namespace longhaul::io
