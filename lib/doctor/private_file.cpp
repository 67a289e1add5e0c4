#include "lib/doctor/private_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "lib/base/escape.hpp"

namespace longhaul::doctor {

Finding check_private_file(const std::string& check, const std::string& path,
                           const std::string& missing) {
  struct ::stat status {};
  if (::stat(path.c_str(), &status) != 0) {
    const std::string found = printable(path) + ": " + std::generic_category().message(errno);
    return broken(check, found, missing);
  }
  if ((status.st_mode & 0077U) != 0) {
    return broken(
        check,
        fmt::format("{} has mode {:o}: others may use it", printable(path),
                    status.st_mode & 07777U),
        "chmod 600 " + printable(path) + "; if others may have read it, remove it and pair anew");
  }
  if (::access(path.c_str(), R_OK) != 0)
    return broken(check, printable(path) + " belongs to another user", "run this as its owner");
  return ok(check, printable(path));
}

}  // namespace longhaul::doctor
