#include "lib/io/terminal.hpp"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/posix/basic_stream_descriptor.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace longhaul::io {
namespace asio = boost::asio;
namespace {

constexpr auto kAwait = asio::as_tuple(asio::use_awaitable_t<Executor>{});
// Alternate screen, no cursor; and back. RMCUP of xterm and whatever calls itself so.
constexpr std::string_view kEnter = "\x1b[?1049h\x1b[?25l\x1b[2J";
constexpr std::string_view kLeave = "\x1b[0m\x1b[?25h\x1b[?1049l";
constexpr std::array kCrashes{SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL};

// What a signal handler needs, and nothing else can give it: one terminal a process.
struct Taken {
  int file = -1;
  ::termios before{};
};
Taken taken;

}  // namespace

// Only what signal-safety(7) allows.
void give_terminal_back() {
  if (taken.file < 0) return;
  const int file = taken.file;
  taken.file = -1;
  static_cast<void>(!::write(file, kLeave.data(), kLeave.size()));
  ::tcsetattr(file, TCSANOW, &taken.before);
}

namespace {

void on_crash(int number) {
  give_terminal_back();
  std::signal(number, SIG_DFL);
  std::raise(number);
}

class TtyTerminal final : public Terminal {
 public:
  TtyTerminal(Executor executor, int file, const ::termios& before)
      : file_(executor, file), before_(before) {
    enter();
  }
  ~TtyTerminal() override { restore(); }

  TerminalSize size() const override {
    ::winsize size{};
    if (::ioctl(number(), TIOCGWINSZ, &size) != 0 || size.ws_col == 0 || size.ws_row == 0)
      return {};
    return {std::min<int>(size.ws_col, 1000), std::min<int>(size.ws_row, 1000)};
  }

  Task<Result<std::string>> read() override {
    std::array<char, 256> bytes{};
    const auto target = asio::buffer(bytes);
    const auto [status, count] = co_await file_.async_read_some(target, kAwait);
    if (status) co_return fail(Kind::kLink, "read the keyboard", status.message());
    co_return std::string(bytes.data(), count);
  }

  bool write(std::string_view bytes) override {
    while (!bytes.empty()) {
      const ssize_t count = ::write(number(), bytes.data(), bytes.size());
      if (count < 0 && errno == EINTR) continue;
      if (count <= 0) return false;
      bytes.remove_prefix(static_cast<std::size_t>(count));
    }
    return true;
  }

  void restore() override {
    if (!entered_) return;
    entered_ = false;
    give_terminal_back();
    for (const int crash : kCrashes) std::signal(crash, SIG_DFL);
  }

  void suspend() override {
    restore();
    ::kill(0, SIGTSTP);
    enter();
  }

  void close() override {
    restore();
    boost::system::error_code ignored;
    file_.close(ignored);
  }

 private:
  // Only asked for: some of basic_descriptor is not const.
  int number() const { return const_cast<Descriptor&>(file_).native_handle(); }

  void enter() {
    ::termios raw = before_;
    raw.c_iflag &= ~static_cast<tcflag_t>(IXON | ICRNL | INLCR);
    raw.c_lflag &= ~static_cast<tcflag_t>(ECHO | ICANON | IEXTEN);
    raw.c_cc[VSUSP] = _POSIX_VDISABLE;  // Ctrl-Z comes as a key
    raw.c_cc[VMIN] = 1;
    raw.c_cc[VTIME] = 0;
    ::tcsetattr(number(), TCSANOW, &raw);
    taken.file = number();
    taken.before = before_;
    for (const int crash : kCrashes) std::signal(crash, on_crash);
    write(kEnter);
    entered_ = true;
  }

  using Descriptor = asio::posix::basic_stream_descriptor<Executor>;
  Descriptor file_;
  const ::termios before_;
  bool entered_ = false;
};

}  // namespace

Result<std::unique_ptr<Terminal>> Terminal::take(Executor executor) {
  const Error none(Kind::kUsage, "take over the terminal", "stdin and stdout are not one");
  if (::isatty(STDIN_FILENO) == 0 || ::isatty(STDOUT_FILENO) == 0) return fail(none);
  // Opened anew, so that "never blocks" is ours alone: the shell shares what stdout refers to.
  std::array<char, 256> name{};
  int file = -1;
  if (::ttyname_r(STDOUT_FILENO, name.data(), name.size()) == 0)
    file = ::open(name.data(), O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
  if (file < 0) file = ::open("/dev/tty", O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
  ::termios before{};
  if (file < 0 || ::tcgetattr(file, &before) != 0) {
    const int os = errno;
    if (file >= 0) ::close(file);
    return fail_errno("take over the terminal", os);
  }
  return std::unique_ptr<Terminal>(std::make_unique<TtyTerminal>(executor, file, before));
}

}  // namespace longhaul::io
