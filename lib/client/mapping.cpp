#include "lib/client/mapping.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

namespace longhaul::client {
namespace {

#ifndef MADV_POPULATE_WRITE
constexpr int kPopulateWrite = 23;  // Linux 5.14
#else
constexpr int kPopulateWrite = MADV_POPULATE_WRITE;
#endif

}  // namespace

Result<std::unique_ptr<Mapping>> Mapping::create(const std::string& path, std::size_t size) {
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (fd < 0) return fail_errno("create " + path, errno);
  std::unique_ptr<Mapping> mapping(new Mapping(fd, path));
  const auto give_up = [&](const char* what) {
    const int os = errno;
    mapping->remove();
    return fail_errno(what + path, os);
  };
  // Whoever looks for what dead programs left may have it for a moment: it is empty, and let go of.
  while (::flock(fd, LOCK_EX) != 0)
    if (errno != EINTR) return give_up("lock ");
  if (::ftruncate(fd, static_cast<off_t>(size)) != 0) return give_up("size ");
  if (auto mapped = mapping->map(); !mapped) {
    mapping->remove();
    return fail(std::move(mapped).error());
  }
  return mapping;
}

Result<std::unique_ptr<Mapping>> Mapping::open(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDWR | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) return fail_errno("open " + path, errno);
  std::unique_ptr<Mapping> mapping(new Mapping(fd, path));
  if (::flock(fd, LOCK_EX | LOCK_NB) != 0)
    return fail(Kind::kBusy, "open " + path, "the process it belongs to lives");
  // Locked too late, it may be another's by now: removed, and one of its name made.
  struct stat locked {
  }, named{};
  if (::fstat(fd, &locked) != 0 || ::lstat(path.c_str(), &named) != 0)
    return fail_errno("stat " + path, errno);
  if (locked.st_dev != named.st_dev || locked.st_ino != named.st_ino)
    return fail(Kind::kNotFound, "open " + path);
  // Anybody may put a file into that folder.
  if (locked.st_uid != ::geteuid())
    return fail(Kind::kPermission, "open " + path, "it belongs to another user");
  TRY(mapping->map());
  return mapping;
}

Result<> Mapping::map() {
  struct stat stat {};
  if (::fstat(fd_, &stat) != 0) return fail_errno("stat " + path_, errno);
  const auto size = static_cast<std::size_t>(stat.st_size);
  if (size == 0) return fail(Kind::kMalformed, "map " + path_, "it is empty");
  void* const at = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd_, 0);
  if (at == MAP_FAILED) return fail_errno("map " + path_, errno);
  bytes_ = {static_cast<std::byte*>(at), size};
  return {};
}

Mapping::~Mapping() {
  if (!bytes_.empty()) ::munmap(bytes_.data(), bytes_.size());
  ::close(fd_);
}

void Mapping::populate(MutableBytes part) const noexcept {
  constexpr std::uintptr_t kPage = 4096;
  const auto begin = reinterpret_cast<std::uintptr_t>(part.data()) & ~(kPage - 1);
  const auto end = reinterpret_cast<std::uintptr_t>(part.data()) + part.size();
  // An older kernel, or a full tmpfs, refuses; then pages come at the first touch.
  ::madvise(reinterpret_cast<void*>(begin), end - begin, kPopulateWrite);
}

void Mapping::remove() noexcept {
  ::unlink(path_.c_str());
}

}  // namespace longhaul::client
