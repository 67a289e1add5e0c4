#include "tests/base/sync_calls.hpp"

#include <dirent.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <map>
#include <mutex>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

namespace longhaul::sync_calls {
namespace {

using Id = std::pair<dev_t, ino_t>;
enum class Of : std::uint8_t { kFile, kFolder, kAll };
struct Call {
  Of of = Of::kFile;
  Id id;
  off_t size = 0;
  std::string path;                    // at the time
  std::map<std::string, ino_t> names;  // of a folder, at the time
};

std::mutex mutex;
std::vector<Call> calls;

std::map<std::string, ino_t> names_in(const std::string& folder) {
  std::map<std::string, ino_t> names;
  DIR* const dir = ::opendir(folder.c_str());
  if (dir == nullptr) return names;
  while (const dirent* entry = ::readdir(dir)) names.emplace(entry->d_name, entry->d_ino);
  ::closedir(dir);
  return names;
}

void note(int fd, bool all) {
  struct stat now {};
  if (::fstat(fd, &now) != 0) return;
  std::array<char, 4096> path{};
  const std::string link = "/proc/self/fd/" + std::to_string(fd);
  const ssize_t length = ::readlink(link.c_str(), path.data(), path.size());
  Call call;
  call.of = all ? Of::kAll : S_ISDIR(now.st_mode) ? Of::kFolder : Of::kFile;
  call.id = {now.st_dev, now.st_ino};
  call.size = now.st_size;
  if (length > 0) call.path.assign(path.data(), static_cast<std::size_t>(length));
  if (call.of == Of::kFolder) call.names = names_in(call.path);
  const std::lock_guard lock(mutex);
  calls.push_back(std::move(call));
}

template <class Is>
bool any(Is is) {
  const std::lock_guard lock(mutex);
  return std::any_of(calls.begin(), calls.end(), is);
}

std::optional<struct stat> look(const std::string& path) {
  struct stat now {};
  return ::lstat(path.c_str(), &now) == 0 ? std::optional(now) : std::nullopt;
}

bool has_content(const std::string& path, bool elsewhere) {
  const auto now = look(path);
  return now && any([&](const Call& call) {
           return call.of == Of::kFile && call.id == Id(now->st_dev, now->st_ino) &&
                  call.size == now->st_size && !(elsewhere && call.path == path);
         });
}

}  // namespace

void forget() {
  const std::lock_guard lock(mutex);
  calls.clear();
}

bool has_content(const std::string& path) {
  return has_content(path, false);
}

bool had_content_before_its_name(const std::string& path) {
  return has_content(path, true);
}

bool has_name(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  const auto folder = look(path.substr(0, slash)), now = look(path);
  return folder && now && any([&](const Call& call) {
           const auto name = call.names.find(path.substr(slash + 1));
           return call.of == Of::kFolder && call.id == Id(folder->st_dev, folder->st_ino) &&
                  name != call.names.end() && name->second == now->st_ino;
         });
}

bool has_all_of(const std::string& folder) {
  const auto now = look(folder);
  return now && any([&](const Call& call) {
           return call.of == Of::kAll && call.id == Id(now->st_dev, now->st_ino);
         });
}

}  // namespace longhaul::sync_calls

// In place of the C library's.
extern "C" {
int fsync(int fd) {
  longhaul::sync_calls::note(fd, false);
  return static_cast<int>(::syscall(SYS_fsync, fd));
}
int fdatasync(int fd) {
  longhaul::sync_calls::note(fd, false);
  return static_cast<int>(::syscall(SYS_fdatasync, fd));
}
int syncfs(int fd) noexcept {
  longhaul::sync_calls::note(fd, true);
  return static_cast<int>(::syscall(SYS_syncfs, fd));
}
}
