#include "netsim/emulator/link_name.hpp"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "lib/base/escape.hpp"

namespace netsim::emulator {
namespace {

using longhaul::fail;
using longhaul::fail_errno;
using longhaul::Kind;

std::string folder() {
  const unsigned uid = ::geteuid();
  if (uid == 0) return "/run/netsim";
  const char* runtime = std::getenv("XDG_RUNTIME_DIR");
  if (runtime != nullptr && *runtime == '/') return std::string(runtime) + "/netsim";
  return fmt::format("/tmp/netsim-{}", uid);
}

std::string path_of(const std::string& name) {
  return folder() + "/" + name + ".sock";
}

// Somebody else's folder in /tmp must not take our requests.
Result<> make_folder() {
  const std::string path = folder();
  if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST)
    return fail_errno("create " + path, errno);
  struct stat info {};
  if (::lstat(path.c_str(), &info) != 0) return fail_errno("look at " + path, errno);
  if (!S_ISDIR(info.st_mode) || info.st_uid != ::geteuid())
    return fail(Kind::kPermission, "use " + path, "it belongs to somebody else");
  return {};
}

Result<sockaddr_un> address_of(const std::string& name) {
  sockaddr_un out{};
  out.sun_family = AF_UNIX;
  const std::string path = path_of(name);
  if (path.size() >= sizeof out.sun_path)
    return fail(Kind::kLimit, "use socket " + path, "its path is too long");
  std::memcpy(out.sun_path, path.c_str(), path.size() + 1);
  return out;
}

}  // namespace

Result<> check_name(const std::string& name) {
  constexpr std::string_view kOther = "._-";
  bool right = !name.empty() && name.size() <= 32 && name[0] != '.' && name[0] != '-';
  for (const char c : name)
    right = right && ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                      kOther.find(c) != std::string_view::npos);
  if (right) return {};
  return fail(Kind::kUsage, fmt::format("name a link '{}'", longhaul::printable(name, 40)),
              "letters, digits, '.', '_' and '-' are expected, at most 32 of them");
}

Result<Channel> connect_to(const std::string& name) {
  TRY(check_name(name));
  const sockaddr_un address = TRY(address_of(name));
  Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd) return fail_errno("open a socket", errno);
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    if (errno == EACCES) return fail_errno("reach link " + name, errno);
    return fail(Kind::kNotFound, "reach link " + name, "no such link is running");
  }
  return Channel(std::move(fd));
}

Result<std::string> free_path(const std::string& name) {
  // One that is just going down, or was killed, may answer for a moment longer.
  for (int tries = 20; connect_to(name); --tries) {
    if (tries == 0) return fail(Kind::kBusy, "name a link " + name, "such a link is running");
    ::usleep(50'000);
  }
  TRY(check_name(name));
  TRY(make_folder());
  const sockaddr_un address = TRY(address_of(name));
  ::unlink(address.sun_path);
  return std::string(address.sun_path);
}

Result<Fd> listen_as(const std::string& name) {
  TRY(free_path(name));
  const sockaddr_un address = TRY(address_of(name));
  Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return fail_errno("open a socket", errno);
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      ::listen(fd.get(), 16) != 0)
    return fail_errno(std::string("listen on ") + address.sun_path, errno);
  return fd;
}

void forget(const std::string& name) {
  ::unlink(path_of(name).c_str());
}

}  // namespace netsim::emulator
