#include "tests/netsim/emulator/program.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <chrono>
#include <fstream>
#include <sstream>

namespace netsim::test {
namespace {

using Clock = std::chrono::steady_clock;
constexpr auto kPatience = std::chrono::seconds(20);

std::string file_text(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

pid_t pid_of(const std::string& digits) {
  pid_t out = -1;
  std::from_chars(digits.data(), digits.data() + digits.size(), out);
  return out;
}

bool drain(int fd, std::string& into) {
  std::array<char, 4096> part;
  const ssize_t got = ::read(fd, part.data(), part.size());
  if (got > 0) into.append(part.data(), static_cast<std::size_t>(got));
  return got > 0;
}

}  // namespace

Program::Program(std::vector<std::string> arguments, std::vector<std::string> before) {
  static int count = 0;
  token_ = "NETSIM_TEST_TOKEN=" + std::to_string(::getpid()) + "." + std::to_string(++count) + ";";
  std::vector<std::string> words = std::move(before);
  words.push_back(std::string(LONGHAUL_BUILD_DIR) + "/tools/netsim/netsim");
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::array<int, 2> out{}, err{};
  if (::pipe2(out.data(), O_CLOEXEC) != 0 || ::pipe2(err.data(), O_CLOEXEC) != 0) return;
  pid_ = ::fork();
  if (pid_ == 0) {
    ::dup2(out[1], 1);
    ::dup2(err[1], 2);
    ::putenv(token_.data());
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    ::execvp(argv[0], argv.data());
    ::_exit(126);
  }
  ::close(out[1]);
  ::close(err[1]);
  out_fd_ = out[0];
  err_fd_ = err[0];
}

Program::~Program() {
  if (code_ < 0) {
    kill(SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  ::close(out_fd_);
  ::close(err_fd_);
}

bool Program::pump(int timeout_ms) {
  std::array<pollfd, 2> polled{{{out_fd_, POLLIN, 0}, {err_fd_, POLLIN, 0}}};
  ::poll(polled.data(), polled.size(), timeout_ms);
  bool open = polled[0].revents == 0 && polled[1].revents == 0;
  if (polled[0].revents != 0) open = drain(out_fd_, out_) || open;
  if (polled[1].revents != 0) open = drain(err_fd_, err_) || open;
  return open;
}

bool Program::wait_for(const std::string& text) {
  for (const auto end = Clock::now() + kPatience; Clock::now() < end;) {
    if ((out_ + err_).find(text) != std::string::npos) return true;
    pump(50);
  }
  return false;
}

int Program::wait() {
  int status = 0;
  while (::waitpid(pid_, &status, WNOHANG) == 0) pump(20);
  for (int i = 0; i < 50 && pump(0); ++i) continue;
  code_ = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  return code_;
}

std::vector<pid_t> Program::family() const {
  std::vector<pid_t> out;
  DIR* proc = ::opendir("/proc");
  while (const dirent* entry = ::readdir(proc)) {
    const std::string name = entry->d_name;
    if (name[0] < '0' || name[0] > '9') continue;
    // The emulator and the warden have not exec'ed: their environment is the one netsim began with.
    if (file_text("/proc/" + name + "/environ").find(token_) != std::string::npos)
      out.push_back(pid_of(name));
  }
  ::closedir(proc);
  return out;
}

pid_t Program::find(const std::string& name) const {
  for (const pid_t pid : family())
    if (file_text("/proc/" + std::to_string(pid) + "/comm") == name + "\n") return pid;
  return -1;
}

bool Program::is_extinct() const {
  for (const auto end = Clock::now() + kPatience; Clock::now() < end;) {
    if (family().empty()) return true;
    ::poll(nullptr, 0, 20);  // other processes end in their own time
  }
  return false;
}

Output run_netsim(const std::vector<std::string>& arguments) {
  for (int attempt = 1;; ++attempt) {
    Program program(arguments);
    const int code = program.wait();
    const bool invalid = program.err().find("INVALID") != std::string::npos;
    if (!invalid || attempt == 5) return {code, program.out(), program.err()};
  }
}

void EmulatorTest::SetUp() {
  static const Output first = run_netsim({"run", "--allow-invalid", "--", "true"});
  if (first.code != 0) GTEST_SKIP() << "the emulator may not run here: " << first.err;
}

}  // namespace netsim::test
