#include "tests/trainer/small_disk.hpp"

#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <filesystem>
#include <limits>
#include <string>

namespace longhaul::trainer {
namespace {

constexpr std::size_t kLarge = std::numeric_limits<std::size_t>::max();
// What the functions below reach.
std::atomic<std::size_t> most{kLarge};
std::atomic<bool> swaps{true};

bool is_full(int fd) {
  std::error_code error;
  const auto file = std::filesystem::read_symlink("/proc/self/fd/" + std::to_string(fd), error);
  if (error || file.parent_path().filename() != "checkpoints") return false;
  std::size_t whole = 0;
  for (const auto& entry : std::filesystem::directory_iterator(file.parent_path(), error))
    if (entry.path().filename().native().starts_with("step-")) ++whole;
  return whole >= most.load();
}

}  // namespace

SmallDisk::~SmallDisk() {
  most.store(kLarge);
  swaps.store(true);
}
void SmallDisk::swap_no_names() {
  swaps.store(false);
}
void SmallDisk::hold(std::size_t checkpoints) {
  most.store(checkpoints);
}

}  // namespace longhaul::trainer

extern "C" int fallocate(int fd, int mode, off_t at, off_t bytes) {
  if (longhaul::trainer::is_full(fd)) {
    errno = ENOSPC;
    return -1;
  }
  return static_cast<int>(::syscall(SYS_fallocate, fd, mode, at, bytes));
}

extern "C" int renameat2(int from_folder, const char* from, int to_folder, const char* to,
                         unsigned flags) noexcept {
  if (!longhaul::trainer::swaps.load()) {
    errno = EINVAL;
    return -1;
  }
  return static_cast<int>(::syscall(SYS_renameat2, from_folder, from, to_folder, to, flags));
}
