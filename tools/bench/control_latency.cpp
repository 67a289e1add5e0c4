// bench_control_latency SOURCE SITE:DATASET [SECONDS]: round trips of a control message while a
// push of SOURCE saturates the link, both in one session, over real sockets. The message asks for
// the versions of a dataset that is not there, every 50 ms: what `ls` says, with the site's own
// time for it. First 3 s without the push, whose least is the base. One JSON line. The folder of
// keys is LONGHAUL_HOME's, as `longhaul` has it; tools/bench/control-latency puts a link between.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <map>
#include <string_view>
#include <vector>

#include "lib/cli/exit_code.hpp"
#include "lib/io/asio_env.hpp"
#include "proxy/connection.hpp"
#include "proxy/push_round.hpp"

namespace {

using namespace longhaul;
using proxy::App;

constexpr Duration kPause = 50ms, kIdle = 3s, kSettles = 4s, kAnswered = 5s;

struct Trips {
  std::vector<double> ms;
  double at(double share) {
    if (ms.empty()) return -1;
    std::sort(ms.begin(), ms.end());
    return ms[std::min(ms.size() - 1,
                       static_cast<std::size_t>(share * static_cast<double>(ms.size())))];
  }
};

// Asks through `connection` until `until` or the end of `transfer`; round trips of what was asked
// from `from` on.
class Asker {
 public:
  Asker(App& app, proxy::Connection& connection) : app_(app), connection_(connection) {}

  io::Task<Trips> ask(Time from, Time until) {
    Trips trips;
    Time next = app_.env.now();
    // The last ones get time for their answers: the slow ones count most.
    while (!connection_.ended() && !pushed_ && app_.env.now() < until + kAnswered) {
      if (app_.env.now() >= until && asked_.empty()) break;
      if (app_.env.now() >= next && next < until) {
        const auto id =
            connection_.exchange().ask(app_.env.now(), wire::AskType::kVersions, "not-there", 0);
        asked_[id.value()] = app_.env.now();
        connection_.poke();
        next += kPause;
      }
      co_await connection_.changed(std::max(next, app_.env.now() + 1ms));
      take(from, trips);
    }
    co_return trips;
  }
  const std::optional<transfer::Finished>& pushed() const { return pushed_; }

 private:
  void take(Time from, Trips& trips) {
    while (std::optional<transfer::Event> event = connection_.exchange().poll_event()) {
      if (auto* end = std::get_if<transfer::Finished>(&*event)) pushed_ = std::move(*end);
      const auto* answer = std::get_if<transfer::Answered>(&*event);
      if (answer == nullptr) continue;
      const auto found = asked_.find(answer->request.value());
      if (found == asked_.end()) continue;
      if (found->second >= from)
        trips.ms.push_back(static_cast<double>((app_.env.now() - found->second).count()) / 1e6);
      asked_.erase(found);
    }
  }

  App& app_;
  proxy::Connection& connection_;
  std::map<std::uint64_t, Time> asked_;
  std::optional<transfer::Finished> pushed_;
};

io::Task<int> measure(App& app, proxy::PushOptions options, Duration length) {
  Result<proxy::PushTask> task = proxy::push_task(app, options);
  if (!task) co_return app.failed(task.error());
  proxy::ConnectOptions how;
  how.expects_bulk = true;
  Result<std::unique_ptr<proxy::Connection>> made = proxy::Connection::make(app, task->site, how);
  if (!made) co_return app.failed(made.error());
  const std::unique_ptr<proxy::Connection> connection = *std::move(made);
  Result<proxy::ScannedSource> scanned = co_await proxy::scan_source(app, task->scan);
  if (!scanned) co_return app.failed(scanned.error());
  Asker asker(app, *connection);
  const Time began = app.env.now();
  Trips idle = co_await asker.ask(began + 1s, began + kIdle);
  transfer::Exchange::PushOptions push;
  push.dataset = task->dataset;
  connection->exchange().start_push(app.env.now(), push, scanned->source, {});
  connection->poke();
  const Time pushing = app.env.now();
  Trips loaded = co_await asker.ask(pushing + kSettles, pushing + length);
  const session::Status status = connection->session().status();
  const bool whole =
      !asker.pushed() && !connection->ended();  // the push must outlast the questions
  if (whole)
    fmt::print(
        "{{\"base_ms\":{:.1f},\"idle_p50_ms\":{:.1f},\"over_base_p50_ms\":{:.1f},"
        "\"over_base_p99_ms\":{:.1f},\"over_base_most_ms\":{:.1f},\"messages\":{},"
        "\"bulk_mbit_s\":{:.0f},\"path\":\"{}\"}}\n",
        idle.at(0), idle.at(0.5), loaded.at(0.5) - idle.at(0), loaded.at(0.99) - idle.at(0),
        loaded.at(1) - idle.at(0), loaded.ms.size(),
        static_cast<double>(status.acked_bytes) * 8e-6 /
            (static_cast<double>((app.env.now() - pushing).count()) / 1e9),
        status.datagrams ? "udp" : "tls");
  else
    fmt::print(stderr, "the push ended before the measurement did\n");
  co_await connection->close();
  co_return whole ? cli::kOk : cli::kError;
}

io::Task<> run_bench(App& app, proxy::PushOptions options, Duration length, int& code) {
  code = co_await measure(app, std::move(options), length);
}

std::optional<std::string> environment(const std::string& name) {
  const char* value = std::getenv(name.c_str());
  return value == nullptr ? std::nullopt : std::optional<std::string>(value);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    fmt::print(stderr, "bench_control_latency SOURCE SITE:DATASET [SECONDS]\n");
    return cli::kUsageError;
  }
  proxy::PushOptions options;
  options.source = argv[1];
  options.place = argv[2];
  int seconds = 15;
  if (argc > 3) std::from_chars(argv[3], argv[3] + std::string_view(argv[3]).size(), seconds);
  cli::StandardConsole console;
  const auto home = proxy::find_home(environment);
  if (!home) return cli::kError;
  NoLog log;
  io::AsioEnv env;
  App app{env, console, log, *home, cli::Config(environment), true, {}};
  int code = cli::kError;
  env.run(run_bench(app, options, std::chrono::seconds(seconds), code),
          [&app](int) { app.stop_asked(); });
  return code;
}
