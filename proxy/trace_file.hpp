// TraceFile: a session's trace on its way to a file (0600). Kept in memory up to 64 KiB, so that a
// frame costs no system call; the writes go to the page cache. A failed write ends the trace, not
// the session.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "lib/session/trace.hpp"

namespace longhaul::proxy {

class TraceFile final : public session::TraceSink {
 public:
  static Result<std::unique_ptr<TraceFile>> create(const std::string& path);  // cuts an older one
  ~TraceFile() override;

  void append(Bytes bytes) override;
  Result<> close();  // the first error of all its writes

 private:
  TraceFile(std::string path, int file) : path_(std::move(path)), file_(file) {}
  void flush();
  const std::string path_;
  int file_;
  ByteVector waiting_;
  std::optional<Error> error_;
};

}  // namespace longhaul::proxy
