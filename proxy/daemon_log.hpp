// DaemonLog: the console of a daemon whose words go to a file: what it says is appended, and a file
// that has grown past kLogMax becomes FILE.1, so that the log of months stays small.
#pragma once

#include <memory>
#include <string>

#include "lib/cli/console.hpp"
#include "lib/io/beneath.hpp"

namespace longhaul::proxy {

class DaemonLog final : public cli::Console {
 public:
  static constexpr std::uint64_t kLogMax = 4U << 20;
  static Result<std::unique_ptr<DaemonLog>> open(std::string path);
  void out(std::string_view text) override { write(text); }
  void err(std::string_view text) override { write(text); }
  bool err_is_terminal() const override { return false; }
  unsigned width() const override { return 200; }

 private:
  explicit DaemonLog(std::string path) : path_(std::move(path)) {}
  Result<> reopen();
  void write(std::string_view text);
  const std::string path_;
  io::Fd fd_;
  std::uint64_t size_ = 0;
};

}  // namespace longhaul::proxy
