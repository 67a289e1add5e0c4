// UnhurriedConsole: a console whose words are written by threads of its own, so that a pipe, a
// terminal or a file system that stands still (an ssh session over a dead link, say) holds up
// nobody who speaks. For a program that works for days and says how it goes.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>

#include "lib/cli/console.hpp"

namespace longhaul::cli {

class UnhurriedConsole final : public Console {
 public:
  // Bytes of progress that wait to be written. Full: the oldest go, and are counted at their place.
  static constexpr std::size_t kKept = 256U << 10;

  // `to` outlives the process's last word: a thread may hang in it for ever. `patience`: how long
  // the first out() and the destructor wait, together, for what nobody takes. Throws
  // std::system_error where no thread is to be had.
  explicit UnhurriedConsole(Console& to,
                            std::chrono::milliseconds patience = std::chrono::seconds(10));
  // What is not taken until then is lost, the data of out(), too.
  ~UnhurriedConsole() override;
  UnhurriedConsole(const UnhurriedConsole&) = delete;
  UnhurriedConsole& operator=(const UnhurriedConsole&) = delete;

  // Progress: takes a lock, an allocation and no more.
  void err(std::string_view text) override;
  // Data, at a command's end: after the progress before it, or half of the patience.
  void out(std::string_view text) override;
  bool err_is_terminal() const override { return to_.err_is_terminal(); }
  bool out_is_terminal() const override { return to_.out_is_terminal(); }
  unsigned width() const override { return to_.width(); }

 private:
  class Desk;
  std::chrono::steady_clock::time_point until(int part);
  Console& to_;
  std::chrono::milliseconds patience_;
  std::optional<std::chrono::steady_clock::time_point> ending_since_;
  std::shared_ptr<Desk> err_, out_;  // shared with threads that may be left behind
};

}  // namespace longhaul::cli
