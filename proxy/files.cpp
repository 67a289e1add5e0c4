#include "proxy/files.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

#include "lib/base/escape.hpp"
#include "lib/io/beneath.hpp"

namespace longhaul::proxy {
namespace {

// What is kept in a new folder, durable as it may be, is lost with the folder's own name.
Result<> sync_name_in(const std::string& path) {
  const io::Fd folder(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (folder.is_open() && ::fsync(folder.get()) == 0) return {};
  // A file system that cannot, or a folder that only others may read: as durable as it gets.
  if (errno == EINVAL || errno == EACCES || errno == EROFS) return {};
  return fail_errno("make a folder in " + path + " durable", errno);
}

}  // namespace

std::string parent_of(const std::string& path) {
  const std::size_t end = path.find_last_not_of('/');
  const std::size_t slash = end == std::string::npos ? end : path.rfind('/', end);
  if (slash == std::string::npos) return end == std::string::npos && !path.empty() ? "/" : ".";
  const std::size_t last = path.find_last_not_of('/', slash);
  return last == std::string::npos ? "/" : path.substr(0, last + 1);
}

Result<std::unique_ptr<io::PosixFiles>> made_folder(const std::string& folder, std::uint32_t mode) {
  for (std::size_t slash = folder.find('/', 1);; slash = folder.find('/', slash + 1)) {
    const std::string part = folder.substr(0, slash);
    const bool made = ::mkdir(part.c_str(), mode) == 0;
    if (!made && errno != EEXIST) return fail_errno("make the folder " + printable(part), errno);
    if (made) TRY(sync_name_in(parent_of(part)));
    if (slash == std::string::npos) break;
  }
  return io::PosixFiles::at(folder);
}

Result<std::unique_ptr<io::PosixFiles>> private_folder(const std::string& folder) {
  return made_folder(folder, 0700);
}

Result<std::string> real_path(const std::string& folder) {
  const std::unique_ptr<char, decltype(&std::free)> real(::realpath(folder.c_str(), nullptr),
                                                         &std::free);
  if (!real) return fail_errno("find " + printable(folder), errno);
  return std::string(real.get());
}

}  // namespace longhaul::proxy
