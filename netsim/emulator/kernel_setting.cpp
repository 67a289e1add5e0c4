#include "netsim/emulator/kernel_setting.hpp"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cerrno>

#include "netsim/handle.hpp"

namespace netsim::emulator {
namespace {

using longhaul::Error;
using longhaul::fail;
using longhaul::fail_errno;
using longhaul::Kind;

bool make_writable() {
  return ::unshare(CLONE_NEWNS) == 0 &&
         ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
         ::mount(nullptr, "/proc/sys", nullptr, MS_REMOUNT | MS_BIND, nullptr) == 0;
}

}  // namespace

Result<> write_kernel_file(const std::string& path, std::string_view text) {
  const Fd fd(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (!fd) return fail_errno("open " + path, errno);
  if (::write(fd.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()))
    return fail_errno("write " + path, errno);
  return {};
}

Result<> write_kernel_setting(const std::string& path, std::string_view text) {
  auto written = write_kernel_file(path, text);
  if (written || written.error().os() != EROFS) return written;
  if (make_writable()) return write_kernel_file(path, text);
  return fail(Error(Kind::kPermission, "open " + path, EROFS)
                  .advise("/proc/sys is read-only: give the container CAP_SYS_ADMIN, or start it "
                          "with --security-opt systempaths=unconfined"));
}

}  // namespace netsim::emulator
