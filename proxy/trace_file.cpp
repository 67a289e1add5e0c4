#include "proxy/trace_file.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "lib/base/escape.hpp"

namespace longhaul::proxy {

namespace {
constexpr std::size_t kWaitingMax = 64U << 10;
}

Result<std::unique_ptr<TraceFile>> TraceFile::create(const std::string& path) {
  const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (file < 0) return fail_errno("write the trace " + printable(path), errno);
  return std::unique_ptr<TraceFile>(new TraceFile(path, file));
}

TraceFile::~TraceFile() {
  if (file_ < 0) return;
  flush();
  ::close(file_);
}

void TraceFile::append(Bytes bytes) {
  if (error_) return;
  longhaul::append(waiting_, bytes);
  if (waiting_.size() >= kWaitingMax) flush();
}

void TraceFile::flush() {
  for (Bytes left = waiting_; !left.empty() && !error_;) {
    const ssize_t wrote = ::write(file_, left.data(), left.size());
    if (wrote >= 0) {
      left = left.subspan(static_cast<std::size_t>(wrote));
    } else if (errno != EINTR) {
      error_ = Error(Error::kind_of_errno(errno), "write the trace " + printable(path_), errno);
    }
  }
  waiting_.clear();
}

Result<> TraceFile::close() {
  flush();
  if (::close(file_) != 0 && !error_)
    error_ = Error(Error::kind_of_errno(errno), "close the trace " + printable(path_), errno);
  file_ = -1;
  if (error_) return fail(*error_);
  return {};
}

}  // namespace longhaul::proxy
