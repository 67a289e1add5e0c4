// Terminal: the terminal this process stands in, taken over for a full-screen view: alternate
// screen, no echo, no cursor. Given back by restore(), by the destructor, and should the program
// crash. One at a time in a process.
//
// Writing never blocks: a terminal that takes nothing (Ctrl-S, a dead ssh) loses frames, and
// wrote() says so, so that the next frame is painted whole. Env's strand.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "lib/base/result.hpp"
#include "lib/io/task.hpp"

namespace longhaul::io {

// What this process took, if it did; for one that is about to end without destructors. Signal-safe.
void give_terminal_back();

struct TerminalSize {
  int columns = 80, rows = 24;
};

class Terminal {
 public:
  // kUsage: stdin and stdout are no terminal.
  static Result<std::unique_ptr<Terminal>> take(Executor executor);
  virtual ~Terminal() = default;
  Terminal(const Terminal&) = delete;
  Terminal& operator=(const Terminal&) = delete;

  virtual TerminalSize size() const = 0;
  virtual Task<Result<std::string>> read() = 0;    // of the keyboard; kLink: it is gone
  virtual bool write(std::string_view bytes) = 0;  // false: not all was taken
  virtual void restore() = 0;
  virtual void suspend() = 0;  // gives it back, stops the process (Ctrl-Z), takes it again
  virtual void close() = 0;    // restore(), and read() ends

 protected:
  Terminal() = default;
};

}  // namespace longhaul::io
