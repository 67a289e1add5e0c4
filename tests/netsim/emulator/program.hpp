// The netsim program as a test's child: started, listened to, signalled, waited for. What it leaves
// behind is found by a token in the environment, which all its descendants inherit.
#pragma once

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/types.h>

#include <string>
#include <vector>

namespace netsim::test {

class Program {
 public:
  explicit Program(std::vector<std::string> arguments, std::vector<std::string> before = {});
  ~Program();  // kill -9, if it still runs
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  bool wait_for(const std::string& text);  // on either stream, within 20 s
  void kill(int signal) const { (void)::kill(pid_, signal); }
  int wait();  // exit code, or 128 + signal; its output is complete then
  const std::string& out() const { return out_; }
  const std::string& err() const { return err_; }
  pid_t pid() const { return pid_; }

  // Processes that carry this program's token, itself included.
  std::vector<pid_t> family() const;
  pid_t find(const std::string& name) const;  // of the family, by its short name; -1
  bool is_extinct() const;                    // the family is gone within 20 s

 private:
  bool pump(int timeout_ms);

  pid_t pid_ = -1;
  int out_fd_ = -1, err_fd_ = -1, code_ = -1;
  std::string token_, out_, err_;
};

// Runs to the end; retried while it says INVALID, as a busy machine is nobody's bug.
struct Output {
  int code;
  std::string out, err;
};
Output run_netsim(const std::vector<std::string>& arguments);

// Base of tests that need the emulator: skipped, with the reason, where it may not run.
class EmulatorTest : public ::testing::Test {
 protected:
  void SetUp() override;
};

}  // namespace netsim::test
