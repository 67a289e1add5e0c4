// TelemetryFile: a session's state as a stream of JSON lines, one every kPause, for plots and
// dashboards: which way bulk travels and why, rate, round trip, queue, loss, what waits in each
// lane's queue and for what. docs/session.md lists the keys. A pipe that nobody reads, or a full
// disk, ends the stream, not the session.
#pragma once

#include <memory>
#include <string>

#include "lib/cli/json_line.hpp"
#include "lib/session/status.hpp"

namespace longhaul::proxy {

class TelemetryFile {
 public:
  static constexpr Duration kPause = std::chrono::milliseconds(100);

  static Result<std::unique_ptr<TelemetryFile>> create(const std::string& path);  // or a FIFO
  ~TelemetryFile();
  TelemetryFile(const TelemetryFile&) = delete;
  TelemetryFile& operator=(const TelemetryFile&) = delete;

  // since: the session began.
  void write(Duration since, const session::Status& status);

 private:
  explicit TelemetryFile(int file) : file_(file) {}
  int file_;
};

// One state as one JSON object.
cli::JsonLine telemetry_line(Duration since, const session::Status& status);

}  // namespace longhaul::proxy
