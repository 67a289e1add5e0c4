// UnhurriedConsole: a console whose words are written by threads of its own, so that a pipe, a
// terminal or a file system that stands still (an ssh session over a dead link, say) holds up
// nobody who speaks. Progress that does not fit while it stands is left out and counted; data never
// is.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>

#include "lib/cli/console.hpp"

namespace longhaul::cli {

class UnhurriedConsole final : public Console {
 public:
  static constexpr std::size_t kKept = 256U << 10;  // bytes of progress that wait to be written

  // `to` outlives the process's last word: a thread may hang in it for ever. Throws
  // std::system_error where no thread is to be had.
  explicit UnhurriedConsole(Console& to,
                            std::chrono::milliseconds patience = std::chrono::seconds(5));
  // Whatever waits is written, unless nothing of it is within `patience`.
  ~UnhurriedConsole() override;
  UnhurriedConsole(const UnhurriedConsole&) = delete;
  UnhurriedConsole& operator=(const UnhurriedConsole&) = delete;

  // Progress: takes a lock, an allocation and no more.
  void err(std::string_view text) override;
  // Data, at a command's end: after the progress before it, or `patience` in which none was taken.
  void out(std::string_view text) override;
  bool err_is_terminal() const override { return to_.err_is_terminal(); }
  bool out_is_terminal() const override { return to_.out_is_terminal(); }
  unsigned width() const override { return to_.width(); }

 private:
  class Desk;
  Console& to_;
  std::chrono::milliseconds patience_;
  std::shared_ptr<Desk> err_, out_;  // shared with threads that may be left behind
};

}  // namespace longhaul::cli
