#include "lib/gateway/wish.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <filesystem>

namespace longhaul::gateway {
namespace {

constexpr int kNamesMax = 64;  // readers of one process, and what a dead one of its number left

std::string reader_name(int number) {
  std::array<char, 64> host{};
  std::string name = ::gethostname(host.data(), host.size() - 1) == 0 ? host.data() : "";
  for (char& c : name)
    if (c == '/' || c == '\n') c = '_';
  return name + "." + std::to_string(::getpid()) + "." + std::to_string(number);
}

bool write_all(int fd, Bytes bytes) {
  while (!bytes.empty()) {
    const ssize_t done = ::write(fd, bytes.data(), bytes.size());
    if (done < 0 && errno == EINTR) continue;
    if (done <= 0) return false;
    bytes = bytes.subspan(static_cast<std::size_t>(done));
  }
  return true;
}

}  // namespace

// A name that no other reader has, of this process or of one on another host.
bool Wish::choose_path() {
  std::error_code error;
  std::filesystem::create_directories(folder_, error);
  for (int number = 0; number < kNamesMax; ++number) {
    const std::string path = folder_ + "/" + reader_name(number);
    const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0 && errno == EEXIST) continue;
    if (fd < 0) return false;
    ::close(fd);
    path_ = path;
    return true;
  }
  return false;
}

bool Wish::write(const store::Demand& demand) const {
  const std::string beside = path_ + ".new";
  const int fd =
      ::open(beside.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (fd < 0) return false;
  const bool whole = write_all(fd, store::to_bytes(demand));
  ::close(fd);
  if (whole && ::rename(beside.c_str(), path_.c_str()) == 0) return true;
  ::unlink(beside.c_str());
  return false;
}

void Wish::say(const store::Demand& demand) {
  struct stat stat {};
  // A publish of another version has removed it.
  const bool is_there = !path_.empty() && ::stat(path_.c_str(), &stat) == 0;
  if (is_there && said_ == demand) return;
  said_.reset();
  if (!is_there && !choose_path()) return;
  if (write(demand)) said_ = demand;
}

void Wish::withdraw() noexcept {
  if (!path_.empty()) ::unlink(path_.c_str());
  path_.clear();
  said_.reset();
}

}  // namespace longhaul::gateway
