// Console: where a command's words go. Data to stdout, progress and errors to stderr; a test reads
// both as strings.
#pragma once

#include <string>
#include <string_view>

namespace longhaul::cli {

class Console {
 public:
  virtual ~Console() = default;
  virtual void out(std::string_view text) = 0;  // data; as it stands, newlines included
  virtual void err(std::string_view text) = 0;  // progress, errors
  virtual bool err_is_terminal() const = 0;
  virtual bool out_is_terminal() const { return false; }
  virtual unsigned width() const = 0;  // columns of the terminal; 200 where there is none
};

// The process's own stdout and stderr. Writing to a closed pipe ends the program quietly, as for
// any filter.
class StandardConsole final : public Console {
 public:
  StandardConsole();
  void out(std::string_view text) override;
  void err(std::string_view text) override;
  bool err_is_terminal() const override { return terminal_; }
  bool out_is_terminal() const override;
  unsigned width() const override;

 private:
  bool terminal_;
};

class StringConsole final : public Console {  // for tests
 public:
  void out(std::string_view text) override { out_text += text; }
  void err(std::string_view text) override { err_text += text; }
  bool err_is_terminal() const override { return false; }
  unsigned width() const override { return 200; }
  std::string out_text, err_text;
};

}  // namespace longhaul::cli
