#include "proxy/files.hpp"

#include <sys/stat.h>

#include <cerrno>

namespace longhaul::proxy {

Result<std::unique_ptr<io::PosixFiles>> private_folder(const std::string& folder) {
  for (std::size_t slash = folder.find('/', 1);; slash = folder.find('/', slash + 1)) {
    const std::string part = folder.substr(0, slash);
    if (::mkdir(part.c_str(), 0700) != 0 && errno != EEXIST)
      return fail_errno("make the folder " + part, errno);
    if (slash == std::string::npos) break;
  }
  return io::PosixFiles::at(folder);
}

}  // namespace longhaul::proxy
