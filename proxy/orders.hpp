// Orders, as commands give them: to the daemon, to the queue on the disk, or, where no daemon runs,
// sent by a later command (docs/proxy.md).
#pragma once

#include <optional>
#include <vector>

#include "lib/run/command.hpp"
#include "proxy/app.hpp"
#include "proxy/commands.hpp"
#include "proxy/daemon/order.hpp"
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

io::Task<int> order_push(App& app, PushOptions options);

}  // namespace longhaul::proxy
