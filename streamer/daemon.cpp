#include "streamer/daemon.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <memory>

#include "lib/base/escape.hpp"
#include "lib/cli/exit_code.hpp"
#include "lib/cli/explain.hpp"
#include "lib/cli/json_line.hpp"
#include "lib/io/beneath.hpp"
#include "lib/io/relay.hpp"
#include "streamer/running.hpp"

namespace longhaul::streamer {
namespace {

constexpr off_t kLogKeptMax = 4 << 20;  // a longer log becomes streamer.log.1 at the next start
constexpr Duration kStopPause = 50ms;
constexpr int kStopTries = 400;  // 20 s

int failed(cli::Console& console, const Error& error) {
  console.err(cli::to_text(cli::explain(error), "longhaul-streamer"));
  return cli::exit_code_of(error.kind());
}

// The daemon leaves the current folder, so its root must not depend on it.
Result<std::string> absolute(const std::string& path) {
  std::unique_ptr<char, decltype(&std::free)> real(::realpath(path.c_str(), nullptr), &std::free);
  if (!real) return fail_errno("find the folder " + printable(path), errno);
  return std::string(real.get());
}

struct LogFile {
  io::Fd fd;
  std::string path;
  off_t size = 0;  // before this start
};

Result<LogFile> open_log(const std::string& root) {
  LogFile log;
  log.path = root + "/.longhaul/streamer.log";
  struct ::stat status {};
  if (::stat(log.path.c_str(), &status) == 0 && status.st_size > kLogKeptMax)
    static_cast<void>(::rename(log.path.c_str(), (log.path + ".1").c_str()));
  log.fd = io::Fd(::open(log.path.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
  if (!log.fd.is_open()) return fail_errno("open the log " + printable(log.path), errno);
  if (::fstat(log.fd.get(), &status) == 0) log.size = status.st_size;
  return log;
}

// What the daemon said before it ended: its own error, already in our words.
std::string said_since(const LogFile& log) {
  std::string text(8192, '\0');
  const ssize_t count = ::pread(log.fd.get(), text.data(), text.size(), log.size);
  text.resize(count > 0 ? static_cast<std::size_t>(count) : 0);
  return text;
}

// The rest of the last line that begins so.
std::string after(const std::string& text, std::string_view beginning) {
  const std::size_t at = text.rfind(beginning);
  if (at == std::string::npos) return {};
  const std::size_t begin = at + beginning.size();
  return text.substr(begin, text.find('\n', begin) - begin);
}

[[noreturn]] void become_daemon(cli::Console& console, Log& log, const LogFile& file, int ready,
                                const RunOptions& options) {
  if (::setsid() < 0 || ::fork() != 0) ::_exit(0);
  const int nothing = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  if (nothing >= 0) ::dup2(nothing, STDIN_FILENO);
  ::dup2(ready, STDOUT_FILENO);
  ::dup2(file.fd.get(), STDERR_FILENO);
  if (nothing < 0) ::close(STDIN_FILENO);  // a chroot without /dev
  ::close(ready);
  if (::chdir("/") != 0) ::_exit(1);
  ::_exit(run(console, log, options));
}

// Forked before anything here has a thread. Returns once the daemon listens.
Result<> launch(cli::Console& console, Log& log, const std::string& root, RunOptions options) {
  const LogFile file = TRY(open_log(root));
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return fail_errno("start the streamer", errno);
  const io::Fd ours(ends[0]);
  io::Fd theirs(ends[1]);
  options.root = root;
  options.json = true;
  options.lets_stdout_go = true;
  const pid_t child = ::fork();
  if (child < 0) return fail_errno("start the streamer", errno);
  if (child == 0) become_daemon(console, log, file, theirs.release(), options);
  theirs = io::Fd();
  ::waitpid(child, nullptr, 0);
  std::string line;
  std::array<char, 512> part{};
  while (line.find('\n') == std::string::npos) {
    const ssize_t count = ::read(ours.get(), part.data(), part.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) break;
    line.append(part.data(), static_cast<std::size_t>(count));
  }
  if (line.find('\n') != std::string::npos) return {};
  const std::string said = said_since(file);
  const std::string why = after(said, "  why: "), todo = after(said, "  do:  ");
  return fail(
      Error(Kind::kIo, "start the streamer", why.empty() ? "it ended at once" : printable(why))
          .advise((todo.empty() ? "" : printable(todo) + "; ") + "its log is " +
                  printable(file.path)));
}

std::string gateway_in_words(const Running& running) {
  return running.gateway.empty() ? "" : ", its gateway at " + printable(running.gateway);
}

struct Found {
  Running running;
  bool started = false;
};

Result<Running> running_now(const Root& root) {
  const auto running = load_running(root);
  if (running) return *running;
  return fail(Error(Kind::kBusy, "find the streamer of " + printable(root.path),
                    "one holds this root, but does not say where it listens")
                  .advise("it may just be starting: try again; else stop it and start it anew"));
}

Result<Found> ensure(cli::Console& console, Log& log, const StartOptions& options) {
  const Root root = TRY(open_root_with_state(options.root, options.state));
  if (is_held(root)) return Found{TRY(running_now(root)), false};
  RunOptions run_options;
  const auto last = load_running(root);
  run_options.listen = options.listen;
  run_options.state = options.state;
  run_options.dial = options.dial;
  run_options.version = options.version;
  run_options.gateway = options.gateway.empty() && last ? last->gateway : options.gateway;
  if (options.listen.empty() && options.dial.empty()) {
    run_options.listen = last && last->at.port != 0 ? to_text(last->at) : kDefaultListen;
    run_options.any_port = true;
  }
  const std::string path = TRY(absolute(options.root));
  TRY(launch(console, log, path, run_options));
  return Found{TRY(running_now(root)), true};
}

io::Task<> carry_over(io::AsioEnv& env, io::Stream& here, io::Endpoint to, Result<>& result) {
  const io::StreamOptions options;
  auto dialed = co_await env.dial(to, options);
  if (!dialed) {
    result = fail(dialed.error());
    co_return;
  }
  const std::unique_ptr<io::Stream> there = *std::move(dialed);
  std::vector<Slice> greeting{Slice::copy_of(kCarrierGreeting)};
  result = co_await here.write(std::move(greeting));
  if (!result) co_return;
  co_await io::relay(env, here, *there);
}

}  // namespace

int start(cli::Console& console, Log& log, const StartOptions& options) {
  const auto found = ensure(console, log, options);
  if (!found) return failed(console, found.error());
  const Running& running = found->running;
  if (options.json) {
    cli::JsonLine line;
    line.add("event", "running").add("address", to_text(running.at)).add("pid", running.pid);
    line.add("host", running.host).add("version", running.version).add("started", found->started);
    if (!running.gateway.empty()) line.add("gateway", running.gateway);
    console.out(line.text() + "\n");
  } else {
    const std::string where = running.at.port == 0 ? "dials" : "listens on " + to_text(running.at);
    console.err(std::string(found->started ? "started" : "runs already") + ": it " + where +
                ", process " + std::to_string(running.pid) + " on " + printable(running.host) +
                gateway_in_words(running) + "\n");
  }
  return cli::kOk;
}

int stop(cli::Console& console, const DaemonOptions& options) {
  const auto root = open_root(options.root);
  if (!root) return failed(console, root.error());
  if (!is_held(*root)) {
    console.err("no streamer runs there\n");
    return cli::kOk;
  }
  const auto running = running_now(*root);
  if (!running) return failed(console, running.error());
  if (running->host != host_name()) {
    return failed(console, Error(Kind::kUsage, "stop the streamer of " + printable(options.root),
                                 "it runs on " + printable(running->host))
                               .advise("run the same command there"));
  }
  if (::kill(static_cast<pid_t>(running->pid), SIGTERM) != 0)
    return failed(console, Error(Error::kind_of_errno(errno), "stop the streamer", errno));
  for (int i = 0; i < kStopTries && is_held(*root); ++i) root->node->pause(kStopPause);
  if (is_held(*root)) {
    return failed(console, Error(Kind::kTimeout, "stop the streamer", "it still runs after 20 s")
                               .advise("look at its log, then `kill -9 " +
                                       std::to_string(running->pid) + "`: nothing is lost"));
  }
  console.err("stopped\n");
  return cli::kOk;
}

int status(cli::Console& console, const DaemonOptions& options) {
  const auto root = open_root(options.root);
  if (!root) return failed(console, root.error());
  const bool held = is_held(*root);
  const auto running = load_running(*root);
  if (options.json) {
    cli::JsonLine line;
    line.add("running", held);
    if (held && running) {
      line.add("address", to_text(running->at)).add("pid", running->pid);
      line.add("host", running->host).add("version", running->version);
      if (!running->gateway.empty()) line.add("gateway", running->gateway);
    }
    console.out(line.text() + "\n");
  } else if (held && running) {
    console.out("running: " + to_text(running->at) + ", process " + std::to_string(running->pid) +
                " on " + printable(running->host) + ", version " + printable(running->version) +
                gateway_in_words(*running) + "\n");
  } else {
    console.out(held ? "running\n" : "not running\n");
  }
  return held ? cli::kOk : cli::kNotFoundError;
}

int carry(cli::Console& console, Log& log, const DaemonOptions& options) {
  StartOptions start_options;
  start_options.root = options.root;
  start_options.version = options.version;
  const auto found = ensure(console, log, start_options);
  if (!found) return failed(console, found.error());
  const Running& running = found->running;
  io::Endpoint to = near(running.at);
  if (running.at.port == 0) {
    return failed(console, Error(Kind::kUsage, "carry a connection to the streamer",
                                 "it does not listen: it dials")
                               .advise("start it with --listen as well"));
  }
  if (running.host != host_name()) {
    // One root, several login nodes: reach it where it runs, if it can be reached from here.
    if (to.host == "127.0.0.1" || to.host == "::1") to.host = running.host;
  }
  io::AsioEnv env;
  auto here = env.stdio();
  if (!here) return failed(console, here.error());
  Result<> result;
  env.run(carry_over(env, **here, to, result), [&here](int) { (*here)->close(); });
  if (result) return cli::kOk;
  return failed(console,
                Error(result.error().kind(), result.error().attempt(),
                      result.error().why() + " (it runs on " + printable(running.host) + ")"));
}

}  // namespace longhaul::streamer
