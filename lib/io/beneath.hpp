// Beneath: opens names below one folder and nowhere else. Each open is one openat2 with
// RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS; where that call is missing (Linux
// before 5.6, a seccomp filter) it is a walk by O_PATH | O_NOFOLLOW, one component at a time, so
// that a folder swapped for a link between check and use is refused either way. Thread-safe.
#pragma once

#include <sys/types.h>

#include <string>
#include <utility>

#include "lib/base/result.hpp"
#include "lib/store/tree_name.hpp"

namespace longhaul::io {

class Fd {  // an open file descriptor
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Fd();
  int get() const { return fd_; }
  bool is_open() const { return fd_ >= 0; }
  int release() { return std::exchange(fd_, -1); }

 private:
  int fd_ = -1;
};

enum class Resolve : std::uint8_t {
  kByKernel,  // openat2, if the kernel has it
  kByHand,
};

class Beneath {
 public:
  // The folder itself is the user's and may be reached through links.
  static Result<Beneath> at(const std::string& folder, Resolve resolve);

  // As openat(2); O_NOFOLLOW and O_CLOEXEC are added. A link anywhere in it is kMalformed.
  Result<Fd> open(const store::TreeName& name, int flags, mode_t mode = 0) const;
  // The folder that holds `name`, as a place for *at() calls with c_str of last().
  struct Place {
    Fd folder;
    std::string last;
  };
  Result<Place> place(const store::TreeName& name, const char* attempt) const;
  int root() const { return root_.get(); }
  Resolve resolve() const { return resolve_; }

 private:
  Beneath(Fd root, Resolve resolve) : root_(std::move(root)), resolve_(resolve) {}
  int open_by_kernel(const char* path, int flags, mode_t mode) const;
  int open_by_hand(const std::string& path, int flags, mode_t mode) const;
  Fd root_;
  Resolve resolve_;
};

// The Error of errno for a call on `name`; ELOOP and EXDEV are kMalformed: a link stood there.
tl::unexpected<Error> fail_on(const char* attempt, const store::TreeName& name, int os);

}  // namespace longhaul::io
