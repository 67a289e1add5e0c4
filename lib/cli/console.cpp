#include "lib/cli/console.hpp"

#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

namespace longhaul::cli {
namespace {

void write_all(int descriptor, std::string_view text) {
  while (!text.empty()) {
    const ssize_t count = ::write(descriptor, text.data(), text.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return;  // nobody is left to tell
    text.remove_prefix(static_cast<std::size_t>(count));
  }
}

}  // namespace

StandardConsole::StandardConsole() : terminal_(::isatty(STDERR_FILENO) == 1) {
  const char* kind = std::getenv("TERM");
  if (kind != nullptr && std::string_view(kind) == "dumb") terminal_ = false;
}

void StandardConsole::out(std::string_view text) {
  write_all(STDOUT_FILENO, text);
}
void StandardConsole::err(std::string_view text) {
  write_all(STDERR_FILENO, text);
}

bool StandardConsole::out_is_terminal() const {
  return ::isatty(STDOUT_FILENO) == 1;
}

unsigned StandardConsole::width() const {
  ::winsize size{};
  if (!terminal_ || ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return 200;
  return size.ws_col;
}

}  // namespace longhaul::cli
