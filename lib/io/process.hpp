// Process: a program of the user's that we run and speak with, as a Stream: what we write is its
// standard input, what we read its standard output. What it says on standard error is kept for an
// error's text. Lives on Env's strand; a process that outlives its Stream is ended and reaped by
// Env.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "lib/io/env.hpp"

namespace longhaul::io {

class Process : public Stream {
 public:
  // The end of its standard error so far, at most 4 KiB, as it stands: not fit for a terminal.
  virtual std::string complaint() const = 0;
  // Asks it to end (SIGTERM). What it still says can be read, unlike after close().
  virtual void terminate() = 0;
  // Its exit code, 128 + signal for one that was killed. Waits for its end.
  virtual Task<int> exited() = 0;
};

// The last line of a complaint that has something on it, made printable; empty if there is none.
std::string last_line(const std::string& complaint);

}  // namespace longhaul::io
