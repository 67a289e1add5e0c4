#include "proxy/daemon_log.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "lib/base/escape.hpp"

namespace longhaul::proxy {

Result<std::unique_ptr<DaemonLog>> DaemonLog::open(std::string path) {
  std::unique_ptr<DaemonLog> log(new DaemonLog(std::move(path)));
  TRY(log->reopen());
  return log;
}

Result<> DaemonLog::reopen() {
  fd_ = io::Fd(::open(path_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
  if (!fd_.is_open()) return fail_errno("open the log " + printable(path_), errno);
  struct ::stat status {};
  size_ = ::fstat(fd_.get(), &status) == 0 ? static_cast<std::uint64_t>(status.st_size) : 0;
  return {};
}

// A full disk costs lines, never the daemon.
void DaemonLog::write(std::string_view text) {
  if (size_ > kLogMax) {
    static_cast<void>(::rename(path_.c_str(), (path_ + ".1").c_str()));
    if (!reopen()) return;
  }
  const ssize_t count = ::write(fd_.get(), text.data(), text.size());
  if (count > 0) size_ += static_cast<std::uint64_t>(count);
}

}  // namespace longhaul::proxy
