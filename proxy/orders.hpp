// Orders, as commands give them: to the daemon, to the queue on the disk, or, where no daemon runs,
// sent by a later command (docs/proxy.md).
#pragma once

#include <optional>
#include <vector>

#include "lib/run/command.hpp"
#include "proxy/app.hpp"
#include "proxy/ckpt.hpp"
#include "proxy/commands.hpp"
#include "proxy/daemon/order.hpp"
#include "proxy/daemon_client.hpp"
#include "proxy/run_watch.hpp"

namespace longhaul::proxy {

// Those that wait on the disk; empty where it cannot be read.
std::vector<daemon::Order> waiting_orders(const App& app);
std::string order_text(const App& app, const daemon::Order& order);  // a line, for people

struct SteerOrder {
  RunPlace place;
  run::Command command;
  std::string text;  // as run::parse_command() takes it
  Duration lifetime{};
  bool queue = false;  // do not wait for what becomes of it
};
// By the daemon, or by the queue alone with `queue`. nullopt: no daemon serves that site; the
// caller sends it over a session of its own.
io::Task<std::optional<int>> order_steer(App& app, SteerOrder order);
// Orders to runs of that site which nobody has sent yet, by this command; without a daemon.
// nullopt: none is left that was given before this one, which the caller sends. Else this one is
// queued behind those, or nothing was done because of Ctrl-C: the exit code.
io::Task<std::optional<int>> send_waiting(App& app, SteerOrder order);

// How ctl.cpp sends one command over a session of its own and says what became of it.
struct Steering {
  int code = 0;
  std::optional<wire::Steered> verdict;  // none: it may still be carried out, if it left
};
io::Task<Steering> steer_run(App& app, RunPlace place, run::Command command, Duration lifetime);

// Durable when it returns; gives it an id, if it has none, and its number.
Result<daemon::Order> put_order(const App& app, daemon::Order order);
Result<> keep_order(const App& app, const daemon::Order& order);
// There is something new in the queue. A daemon that does not hear it looks there by itself.
io::Task<> poke_daemon(DaemonClient& client);

// Left with the daemon, or in the queue for the next one: an exit code. order_tasks.cpp
io::Task<int> order_push(App& app, PushOptions options);
struct FetchOrder {
  RunPlace place;
  std::optional<std::uint64_t> step;  // nothing: the newest when it is fetched
  CheckpointHome home;
  std::string limit_rate;
  bool full = false;
};
io::Task<int> order_fetch(App& app, FetchOrder fetch);
io::Task<int> order_follow(App& app, RunPlace place, CheckpointHome home,
                           CkptFollowOptions options);

}  // namespace longhaul::proxy
