#include "proxy/files.hpp"

#include <sys/stat.h>

#include <cerrno>
#include <cstdlib>

#include "lib/base/escape.hpp"

namespace longhaul::proxy {

Result<std::unique_ptr<io::PosixFiles>> made_folder(const std::string& folder, std::uint32_t mode) {
  for (std::size_t slash = folder.find('/', 1);; slash = folder.find('/', slash + 1)) {
    const std::string part = folder.substr(0, slash);
    if (::mkdir(part.c_str(), mode) != 0 && errno != EEXIST)
      return fail_errno("make the folder " + printable(part), errno);
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
