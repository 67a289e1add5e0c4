#include "lib/io/beneath.hpp"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string_view>

#include "lib/base/escape.hpp"

namespace longhaul::io {

using store::TreeName;

Fd::~Fd() {
  if (fd_ >= 0) ::close(fd_);
}

tl::unexpected<Error> fail_on(const char* attempt, const TreeName& name, int os) {
  const std::string what = std::string(attempt) + ' ' + name.shown();
  if (os == ELOOP || os == EXDEV)
    return fail(Kind::kMalformed, what, "a symbolic link stands in the way");
  return fail_errno(what, os);
}

Result<Beneath> Beneath::at(const std::string& folder, Resolve resolve) {
  Fd root(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!root.is_open()) return fail_errno("open the folder " + printable(folder), errno);
  Beneath beneath(std::move(root), resolve);
  if (resolve == Resolve::kByKernel) {
    // ENOSYS: an old kernel; EPERM: a filter that does not know the call.
    const Fd probe(beneath.open_by_kernel(".", O_PATH | O_DIRECTORY, 0));
    if (!probe.is_open()) beneath.resolve_ = Resolve::kByHand;
  }
  return beneath;
}

int Beneath::open_by_kernel(const char* path, int flags, mode_t mode) const {
  open_how how{};
  how.flags = static_cast<decltype(how.flags)>(flags | O_CLOEXEC | O_NOFOLLOW);
  how.mode = (flags & O_CREAT) != 0 ? mode : 0;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
  constexpr int kTries = 64;  // EAGAIN: a rename elsewhere raced with the walk
  for (int tried = 0;; ++tried) {
    const long fd = ::syscall(SYS_openat2, root_.get(), path, &how, sizeof how);
    if (fd >= 0) return static_cast<int>(fd);
    if ((errno != EAGAIN && errno != EINTR) || tried == kTries) return -1;
  }
}

int Beneath::open_by_hand(const std::string& path, int flags, mode_t mode) const {
  Fd held;
  int folder = root_.get();
  std::size_t at = 0;
  for (;;) {
    const std::size_t slash = path.find('/', at);
    const std::string part = path.substr(at, slash - at);
    if (slash == std::string::npos) {
      int fd;
      do {
        fd = ::openat(folder, part.c_str(), flags | O_CLOEXEC | O_NOFOLLOW, mode);
      } while (fd < 0 && errno == EINTR);
      return fd;
    }
    Fd next(::openat(folder, part.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    // O_DIRECTORY on a link says ENOTDIR; the caller should hear that it is a link only if so,
    // and for refusing it the two are the same.
    if (!next.is_open()) return -1;
    held = std::move(next);
    folder = held.get();
    at = slash + 1;
  }
}

Result<Fd> Beneath::open(const TreeName& name, int flags, mode_t mode) const {
  const std::string path = name.is_root() ? "." : name.text();
  const int fd = resolve_ == Resolve::kByKernel ? open_by_kernel(path.c_str(), flags, mode)
                                                : open_by_hand(path, flags, mode);
  if (fd < 0) return fail_on("open", name, errno);
  return Fd(fd);
}

Result<Beneath::Place> Beneath::place(const TreeName& name, const char* attempt) const {
  if (name.is_root())
    return fail(Kind::kUsage, std::string(attempt) + " .", "it is the root of the tree itself");
  auto folder = open(name.parent(), O_PATH | O_DIRECTORY);
  if (!folder) {
    if (folder.error().os() == 0) return fail(folder.error());
    return fail_on(attempt, name, folder.error().os());
  }
  return Place{*std::move(folder), std::string(name.last())};
}

}  // namespace longhaul::io
