#include "streamer/root.hpp"

#include <sys/stat.h>

#include <cerrno>

namespace longhaul::streamer {
namespace {

Result<> make(const std::string& path, unsigned mode) {
  if (::mkdir(path.c_str(), mode) != 0 && errno != EEXIST)
    return fail_errno("make the folder " + path, errno);
  return {};
}

}  // namespace

Result<Root> open_root(const std::string& path) {
  TRY(make(path, 0755));
  TRY(make(path + "/.longhaul", 0700));
  return look_at_root(path);
}

Result<Root> look_at_root(const std::string& path) {
  Root root;
  root.path = path;
  root.files = TRY(io::PosixFiles::at(path));
  root.node = TRY(io::PosixFiles::at(path + "/.longhaul"));
  return root;
}

}  // namespace longhaul::streamer
