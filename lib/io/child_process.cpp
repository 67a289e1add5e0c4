#include "lib/io/child_process.hpp"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

#include "lib/base/escape.hpp"

namespace longhaul::io {
namespace asio = boost::asio;
namespace {

constexpr auto kAwait = asio::as_tuple(asio::use_awaitable_t<Executor>{});
constexpr std::size_t kComplaintMax = 4096;
// What waits between us and the child is waited for by every control message.
constexpr int kQueueBytes = 64 << 10;
constexpr Duration kReapPause = 10ms;

// Ctrl-C reaches every process of the terminal, but what it means is ours to say: the child goes on
// until we close it. Broken pipes are its own affair, with the default action.
Result<pid_t> spawn(const std::vector<std::string>& command, int socket, int errors) {
  std::vector<char*> arguments;
  for (const std::string& word : command) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, socket, 0);
  ::posix_spawn_file_actions_adddup2(&actions, socket, 1);
  ::posix_spawn_file_actions_adddup2(&actions, errors, 2);
  ::posix_spawnattr_init(&attributes);
  ::sigset_t blocked{}, defaults{};
  ::sigemptyset(&blocked);
  ::sigaddset(&blocked, SIGINT);
  ::sigemptyset(&defaults);
  ::sigaddset(&defaults, SIGPIPE);
  ::posix_spawnattr_setsigmask(&attributes, &blocked);
  ::posix_spawnattr_setsigdefault(&attributes, &defaults);
  ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  pid_t pid = -1;
  const int os =
      ::posix_spawnp(&pid, arguments[0], &actions, &attributes, arguments.data(), environ);
  ::posix_spawnattr_destroy(&attributes);
  ::posix_spawn_file_actions_destroy(&actions);
  if (os != 0) return fail_errno("run " + printable(command.front(), 80), os);
  return pid;
}

int code_of(int status) {
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace

std::string last_line(const std::string& complaint) {
  std::string_view rest = complaint;
  while (!rest.empty()) {
    const std::size_t end = rest.find_last_not_of(" \t\r\n");
    if (end == std::string_view::npos) break;
    rest = rest.substr(0, end + 1);
    const std::size_t begin = rest.find_last_of("\r\n");
    return printable(begin == std::string_view::npos ? rest : rest.substr(begin + 1), 300);
  }
  return {};
}

Nursery::~Nursery() {
  for (const pid_t child : children_) {
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
  }
}

void Nursery::reap() {
  std::erase_if(children_, [](pid_t child) { return ::waitpid(child, nullptr, WNOHANG) != 0; });
}

Result<std::unique_ptr<Process>> ChildProcess::start(Env& env, Nursery& nursery,
                                                     const std::vector<std::string>& command) {
  ASSERT(!command.empty());
  nursery.reap();
  const std::string attempt = "run " + printable(command.front(), 80);
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0)
    return fail_errno(attempt, errno);
  Fd ours(ends[0]), theirs(ends[1]);
  for (const int end : ends)
    ::setsockopt(end, SOL_SOCKET, SO_SNDBUF, &kQueueBytes, sizeof kQueueBytes);
  Fd errors(::memfd_create("complaint", MFD_CLOEXEC));
  if (!errors.is_open()) return fail_errno(attempt, errno);
  const pid_t pid = TRY(spawn(command, theirs.get(), errors.get()));
  LocalSocket socket(env.executor());
  boost::system::error_code status;
  socket.assign(asio::local::stream_protocol(), ours.release(), status);
  ASSERT(!status);
  return std::unique_ptr<Process>(
      new ChildProcess(env, nursery, std::move(socket), std::move(errors), pid, command.front()));
}

ChildProcess::ChildProcess(Env& env, Nursery& nursery, LocalSocket socket, Fd errors, pid_t pid,
                           std::string name)
    : env_(env),
      nursery_(nursery),
      socket_(std::move(socket)),
      errors_(std::move(errors)),
      pid_(pid),
      name_(std::move(name)),
      pool_(4 * kReadBytes) {}

ChildProcess::~ChildProcess() {
  close();
  if (pid_ > 0) nursery_.add(pid_);
}

Task<Result<Slice>> ChildProcess::read_at_most(std::size_t bytes) {
  Buffer buffer = pool_.take(std::min(bytes, kReadBytes));
  const MutableBytes room = buffer.bytes();
  const auto target = asio::buffer(room.data(), std::min(room.size(), bytes));
  const auto [status, count] = co_await socket_.async_read_some(target, kAwait);
  if (status == asio::error::eof) co_return Slice();
  if (status) co_return fail(Kind::kLink, "read from " + name_, status.message());
  Slice all = std::move(buffer).freeze(count);
  // A few bytes must not hold a large block for as long as somebody keeps them.
  if (count < kReadBytes / 8) all = Slice::copy_of(all.bytes());
  co_return all;
}

Task<Result<>> ChildProcess::write(std::vector<Slice> parts) {
  std::vector<asio::const_buffer> source;
  source.reserve(parts.size());
  for (const Slice& part : parts) source.emplace_back(part.data(), part.size());
  const auto [status, count] = co_await asio::async_write(socket_, source, kAwait);
  static_cast<void>(count);
  if (status) co_return fail(Kind::kLink, "write to " + name_, status.message());
  co_return Result<>();
}

Task<Result<>> ChildProcess::wait_writable() {
  const auto [status] = co_await socket_.async_wait(LocalSocket::wait_write, kAwait);
  if (status) co_return fail(Kind::kLink, "write to " + name_, status.message());
  co_return Result<>();
}

// SIGTERM, so that ssh takes its own helpers (ProxyCommand) with it.
void ChildProcess::close() {
  boost::system::error_code ignored;
  socket_.close(ignored);
  terminate();
}

void ChildProcess::terminate() {
  if (pid_ > 0) ::kill(pid_, SIGTERM);
}

void ChildProcess::finish() {
  boost::system::error_code ignored;
  socket_.shutdown(LocalSocket::shutdown_send, ignored);
}

std::string ChildProcess::complaint() const {
  struct ::stat status {};
  if (::fstat(errors_.get(), &status) != 0) return {};
  const auto size = static_cast<std::size_t>(status.st_size);
  std::string text(std::min(size, kComplaintMax), '\0');
  const ssize_t count =
      ::pread(errors_.get(), text.data(), text.size(), static_cast<off_t>(size - text.size()));
  text.resize(static_cast<std::size_t>(std::max<ssize_t>(count, 0)));
  return text;
}

Task<int> ChildProcess::exited() {
  int status = 0;
  for (;;) {
    const pid_t ended = ::waitpid(pid_, &status, WNOHANG);
    if (ended != 0) break;
    const Time later = env_.now() + kReapPause;
    co_await env_.sleep_until(later);
  }
  pid_ = -1;
  co_return code_of(status);
}

}  // namespace longhaul::io
