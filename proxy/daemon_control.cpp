// Starting and stopping the daemon from a command.
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <iterator>

#include "lib/base/escape.hpp"
#include "lib/cli/exit_code.hpp"
#include "lib/io/beneath.hpp"
#include "proxy/commands.hpp"
#include "proxy/daemon_client.hpp"
#include "proxy/daemon_place.hpp"
#include "proxy/files.hpp"

namespace longhaul::proxy {
namespace {

constexpr Duration kStartTime = 20s;
constexpr Duration kStopTime = 60s;  // a push is ended, sessions are said goodbye
constexpr Duration kControlTick = 50ms;

// Between fork and exec nothing is called that may lock: other threads are gone there.
[[noreturn]] void become_proxy(const char* program, const char* log, int complaint) {
  ::setsid();
  const int nothing = ::open("/dev/null", O_RDWR);
  if (nothing < 0 || ::chdir("/") != 0) ::_exit(1);
  ::dup2(nothing, STDIN_FILENO);
  ::dup2(nothing, STDOUT_FILENO);
  ::dup2(complaint, STDERR_FILENO);
  ::execl(program, "longhaul", "proxy", "run", "--log", log, nullptr);
  ::_exit(127);
}

std::string tail_of(const std::string& path, std::uint64_t from) {
  std::ifstream file(path, std::ios::binary);
  file.seekg(static_cast<std::streamoff>(from));
  std::string text(std::istreambuf_iterator<char>(file), {});
  const std::size_t why = text.rfind("  why: ");
  if (why == std::string::npos) return "it ended at once";
  return printable(text.substr(why + 7, text.find('\n', why) - why - 7), 400);
}

std::uint64_t size_of_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  return file ? static_cast<std::uint64_t>(file.tellg()) : 0;
}

io::Task<std::optional<daemon::Fields>> running_now(App& app) {
  const std::unique_ptr<DaemonClient> client = co_await DaemonClient::find(app);
  if (client == nullptr) co_return std::nullopt;
  daemon::Request request;
  request.question = daemon::Question::kStatus;
  const Result<std::vector<daemon::Fields>> told = co_await client->ask(request);
  if (!told || told->empty()) co_return std::nullopt;
  co_return told->front();
}

void say_running(App& app, const daemon::Fields& daemon, bool started) {
  if (app.json) {
    cli::JsonLine line;
    line.add("event", "running").add("pid", daemon.count("pid").value_or(0));
    line.add("version", daemon.text("version")).add("socket", daemon.text("socket"));
    line.add("started", started);
    app.json_line(line);
    return;
  }
  app.console.err(std::string(started ? "started" : "runs already") + ": process " +
                  printable(daemon.text("pid"), 20) + ", version " +
                  printable(daemon.text("version"), 40) + "\n");
}

}  // namespace

io::Task<int> proxy_start(App& app, ProxyOptions) {
  const std::optional<daemon::Fields> before = co_await running_now(app);
  if (before) {
    say_running(app, *before, false);
    co_return cli::kOk;
  }
  const auto state = private_folder(app.home.state);
  if (!state) co_return app.failed(state.error());
  const std::string log = daemon_place(app).log;
  const std::uint64_t log_size = size_of_file(log);
  io::Fd complaint(::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
  const std::string attempt = "start the proxy daemon";
  if (!complaint.is_open()) {
    const int os = errno;
    co_return app.failed(Error(Error::kind_of_errno(os), "open the log " + printable(log), os));
  }
  const pid_t child = ::fork();
  if (child == 0) become_proxy("/proc/self/exe", log.c_str(), complaint.get());
  if (child < 0) co_return app.failed(Error(Error::kind_of_errno(errno), attempt, errno));
  const Time until = app.env.now() + kStartTime;
  for (;;) {
    const std::optional<daemon::Fields> now = co_await running_now(app);
    if (now) {
      say_running(app, *now, true);
      co_return cli::kOk;
    }
    if (::waitpid(child, nullptr, WNOHANG) == child) {
      co_return app.failed(
          Error(Kind::kIo, attempt, tail_of(log, log_size)).advise("its log is " + printable(log)));
    }
    if (app.env.now() > until) break;
    const Time later = app.env.now() + kControlTick;
    co_await app.env.sleep_until(later);
  }
  co_return app.failed(Error(Kind::kTimeout, attempt, "it does not answer after 20 s")
                           .advise("its log is " + printable(log)));
}

// One that is just starting or ending does not answer, or hangs up: it is asked again until it is
// gone.
io::Task<int> proxy_stop(App& app) {
  const Time until = app.env.now() + kStopTime;
  bool ran = false, asked = false;
  std::string why = "one runs, but does not answer";
  for (;;) {
    const Result<DaemonLock> lock = look_at_daemon(app);
    if (!lock) co_return app.failed(lock.error());
    if (*lock == DaemonLock::kFree) break;
    ran = true;
    std::unique_ptr<DaemonClient> client;
    if (!asked) client = co_await DaemonClient::find(app);
    if (client != nullptr) {
      daemon::Request request;
      request.question = daemon::Question::kStop;
      const Result<std::vector<daemon::Fields>> told = co_await client->ask(request);
      asked = told.has_value();
      why = asked ? "it still runs" : told.error().message();
    }
    if (app.env.now() > until)
      co_return app.failed(Error(Kind::kTimeout, "stop the proxy daemon", why));
    const Time later = app.env.now() + kControlTick;
    co_await app.env.sleep_until(later);
  }
  app.console.err(ran ? "stopped\n" : "no proxy daemon runs\n");
  co_return cli::kOk;
}

}  // namespace longhaul::proxy
