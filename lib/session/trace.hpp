// Recording: writes down all that a session is told, what its paths and services answer, and what
// it does, so that the session can be run again from the trace alone (replay.hpp). Session makes
// one where SessionOptions::trace is set; the format stands in trace_records.hpp. Lives on the
// session's strand. A trace costs about 60 bytes a frame.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "lib/session/greeter.hpp"
#include "lib/session/handshake.hpp"
#include "lib/session/session.hpp"
#include "lib/session/trace_records.hpp"

namespace longhaul::session {

class TraceSink {
 public:
  virtual ~TraceSink() = default;
  virtual void append(Bytes bytes) = 0;  // must not call the session
};

// Records behind each other, and a hash over what the session did.
class TraceWriter {
 public:
  TraceWriter(TraceSink& sink, bool keeps_payloads);
  void put(const trace::Record& record);
  bool keeps_payloads() const { return keeps_payloads_; }

 private:
  TraceSink& sink_;
  const bool keeps_payloads_;
};

class Recording {
 public:
  Recording(Time now, const SessionKeys& keys, const SessionOptions& options,
            std::span<Service* const> services, bool dials);
  ~Recording();
  // What the core is given instead of the real ones.
  std::vector<Service*> services() const;
  PathMaker* paths();

  // Each before the session acts on it.
  void told(const trace::Record& input);
  void told_of(Time now, Arrival& arrival, const Association* association);
  void did(const std::optional<Output>& output);

 private:
  class Paths;
  class Listener;
  TraceWriter writer_;
  std::vector<std::unique_ptr<Listener>> services_;
  std::unique_ptr<Paths> paths_;
};

// The same for a recorded session and its replay.
std::string in_words(const Output& output);
trace::Why to_trace(const Error& error);
Error from_trace(const trace::Why& why);
trace::Content to_trace(Bytes content, bool keeps);
// A frame, header included, with its payload apart and without secrets.
trace::Sent sent_frame(std::uint32_t path, Bytes frame, bool keeps_payloads);

inline std::int64_t to_trace(Time time) {
  return time.time_since_epoch().count();
}
inline Time time_from_trace(std::int64_t ns) {
  return Time(Duration(ns));
}

}  // namespace longhaul::session
