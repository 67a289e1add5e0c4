#include "proxy/orders.hpp"

#include <fmt/format.h>

#include "lib/base/escape.hpp"
#include "lib/cli/exit_code.hpp"
#include "lib/cli/human.hpp"
#include "proxy/daemon/order_queue.hpp"
#include "proxy/daemon/site_core.hpp"
#include "proxy/daemon_client.hpp"
#include "proxy/daemon_place.hpp"
#include "proxy/run_text.hpp"

namespace longhaul::proxy {
namespace {

constexpr Duration kReachTime = 3s;  // a daemon that has just begun may still be connecting
constexpr Duration kQuickTick = 20ms, kSlowTick = 200ms;
constexpr Duration kQuickTime = 2s;
constexpr Duration kAwayTime = 10s;  // a link that is lost and found again is waited for
constexpr Duration kForever = std::chrono::hours(24 * 365);
// From an order's expiry to the daemon's word of what became of it: its own wait for a verdict, and
// then until the site is heard.
constexpr Duration kLateTime = daemon::kVerdictWait + 15s;

daemon::Order order_of(const SteerOrder& steer, WallTime now) {
  daemon::Order order;
  order.id = steer.command.id;
  order.kind = daemon::OrderKind::kSteer;
  order.site = steer.place.site.name;
  order.target = steer.place.run;
  order.command = steer.text;
  order.expires.ns = now.ns + steer.lifetime.count();
  return order;
}

void say_order(App& app, const daemon::Order& order) {
  cli::JsonLine line;
  line.add("event", "command").add("id", id_text(order.id)).add("command", order.command);
  line.add("state", name_of(order.state));
  if (order.attempt > 0) line.add("attempt", order.attempt).add("step", order.step);
  line.add("time_ns", app.env.wall().ns).add("text", order.text);
  app.json_line(line);
}

int tell_queued(App& app, const daemon::Order& order, const std::string& why, bool wanted) {
  if (app.json) {
    say_order(app, order);
  } else {
    const Duration left(order.expires.ns - app.env.wall().ns);
    app.console.err(fmt::format(
        "queued{}: it goes out when {} can be reached, and expires in {}; `longhaul proxy status` "
        "shows it\n",
        why.empty() ? "" : " (" + why + ")", order.site, cli::human(left)));
  }
  return wanted ? cli::kOk : cli::kPartialResult;
}

// It left, and what became of it cannot be known now.
int tell_open(App& app, const daemon::Order& order, const std::string& why) {
  if (app.json) {
    say_order(app, order);
  } else {
    const bool received = order.state == daemon::OrderState::kReceived;
    app.console.err(fmt::format(
        "{}: {}, it may be carried out; `longhaul proxy status` shows what becomes of it\n", why,
        received ? "the site had received the command" : "the command was sent"));
  }
  return cli::kPartialResult;
}

int tell_verdict(App& app, const daemon::Order& order) {
  using daemon::OrderState;
  if (app.json) say_order(app, order);
  const std::string text = printable(order.text, 400);
  switch (order.state) {
    case OrderState::kApplied:
      if (!app.json)
        app.console.out(
            fmt::format("applied at step {} of attempt {}: {}\n", order.step, order.attempt, text));
      return cli::kOk;
    case OrderState::kDenied:
      return app.failed(Error(Kind::kAuth, "steer the run", text));
    case OrderState::kUnknown:
      return app.failed(Error(Kind::kTimeout, "steer the run", text));
    case OrderState::kMissing:
      return app.failed(Error(Kind::kNotFound, "steer " + order.site + "/" + order.target, text)
                            .advise("`longhaul runs " + order.site + "` lists them"));
    case OrderState::kExpired:
      return app.failed(
          Error(Kind::kTimeout, "steer the run", "the command expired: nothing was done")
              .advise("is the run still at work? `longhaul runs` says; or give --expires "
                      "a longer time"));
    default:
      return app.failed(Error(Kind::kUsage, "steer the run", "it was refused: " + text)
                            .advise("nothing was changed"));
  }
}

struct Followed {
  daemon::Order order;
  SiteLink link;
};
io::Task<Result<Followed>> follow(DaemonClient& client, std::uint64_t id) {
  daemon::Request request;
  request.question = daemon::Question::kOrder;
  request.id = id;
  const Result<std::vector<std::string>> told = co_await client.lines(request);
  if (!told) co_return fail(told.error());
  Followed followed;
  bool found = false;
  for (const std::string& line : *told) {
    if (auto order = daemon::parse_order(line)) {
      followed.order = *std::move(order);
      found = true;
    } else if (const auto fields = daemon::Fields::parse(line)) {
      followed.link = site_link(*fields);
    }
  }
  if (!found) co_return fail(Kind::kNotFound, "follow the order", "the daemon has not seen it yet");
  co_return followed;
}

io::Task<std::optional<int>> wait_for(App& app, DaemonClient& client, daemon::Order order) {
  bool stop = false, said = false;
  app.when_stopped([&stop] { stop = true; });
  const Time began = app.env.now();
  std::optional<int> code;
  std::optional<Time> away_since;
  while (!code) {
    const Result<Followed> seen = co_await follow(client, order.id);
    const Time now = app.env.now();
    if (!seen && seen.error().kind() != Kind::kNotFound) {
      // It has ended; the order stands on the disk for the next one.
      code = tell_queued(app, order, "the daemon ended", false);
      break;
    }
    if (seen) {
      order = seen->order;
      if (is_final(order.state)) {
        code = tell_verdict(app, order);
        break;
      }
      if (order.state == daemon::OrderState::kReceived && !std::exchange(said, true)) {
        if (app.json)
          say_order(app, order);
        else
          app.console.err("received: it waits for the training program\n");
      }
      const bool up = seen->link.state == "up";
      if (up) away_since.reset();
      if (!up && !away_since) away_since = now;
      const std::string lost = order.site + " cannot be reached: " + seen->link.why;
      if (order.state == daemon::OrderState::kQueued) {
        if (!up && now - began > kReachTime) code = tell_queued(app, order, lost, false);
      } else if (away_since && now - *away_since > kAwayTime) {
        code = tell_open(app, order, lost);
      } else if (app.env.wall().ns > order.expires.ns + kLateTime.count()) {
        code = tell_open(app, order, "no word of it from " + order.site);
      }
      if (code) break;
    }
    if (stop) {
      app.console.err("the order stays: `longhaul proxy status` shows what becomes of it\n");
      code = cli::kInterruptedByUser;
      break;
    }
    const Time later = now + (now - began < kQuickTime ? kQuickTick : kSlowTick);
    co_await app.env.sleep_until(later);
  }
  app.on_stop = nullptr;
  co_return code;
}

}  // namespace

Result<daemon::Order> put_order(const App& app, daemon::Order order) {
  const auto files = TRY(queue_folder(app));
  order.made = app.env.wall();
  while (order.id == 0) {
    std::array<std::byte, 8> random{};
    app.env.entropy(random);
    order.id = load_le<std::uint64_t>(random);
  }
  return daemon::OrderQueue(*files).add(std::move(order));
}

Result<> keep_order(const App& app, const daemon::Order& order) {
  const auto files = TRY(queue_folder(app));
  return daemon::OrderQueue(*files).keep(order);
}

io::Task<> poke_daemon(DaemonClient& client) {
  daemon::Request work;
  work.question = daemon::Question::kWork;
  const Result<std::vector<daemon::Fields>> told = co_await client.ask(work);
  static_cast<void>(told);
}

std::vector<daemon::Order> waiting_orders(const App& app) {
  const auto files = queue_folder(app);
  if (!files) return {};
  auto waiting = daemon::OrderQueue(**files).waiting();
  return waiting ? *std::move(waiting) : std::vector<daemon::Order>();
}

io::Task<std::optional<int>> order_steer(App& app, SteerOrder steer) {
  const std::unique_ptr<DaemonClient> client = co_await DaemonClient::find(app);
  const bool served = steer.place.site.listen.empty();
  if (!steer.queue && (client == nullptr || !served)) co_return std::nullopt;
  const Result<daemon::Order> order = put_order(app, order_of(steer, app.env.wall()));
  if (!order) co_return app.failed(order.error());
  if (client == nullptr)
    co_return tell_queued(app, *order, "no daemon runs: `longhaul proxy start`, or the next ctl",
                          true);
  co_await poke_daemon(*client);
  if (steer.queue) co_return tell_queued(app, *order, "", true);
  co_return co_await wait_for(app, *client, *order);
}

namespace {

bool is_late(const App& app, const daemon::Order& order) {
  return order.expires.ns != 0 && app.env.wall() >= order.expires;
}

void end_as(daemon::Order& order, daemon::OrderState state, std::string text) {
  order.state = state;
  order.text = std::move(text);
}

// Sends one that waits. What it says of the order is final if anything is.
io::Task<int> send_one(App& app, daemon::Order& order) {
  using daemon::OrderState;
  Result<run::Command> command = run::parse_command(order.command);
  const Result<RunPlace> place = find_run_place(app, order.site + "/" + order.target);
  if (!command || !place) {
    end_as(order, OrderState::kRefused, (command ? place.error() : command.error()).message());
    co_return cli::kUsageError;
  }
  if (is_late(app, order)) {
    // Never again: the training program would judge it by a new expiry.
    if (order.state == OrderState::kQueued)
      end_as(order, OrderState::kExpired, "the site was not reached in time; nothing was sent");
    else
      end_as(order, OrderState::kUnknown, "it was sent, and nobody told in time what became of it");
    co_return cli::kLinkError;
  }
  app.console.err("first what was queued: " + in_words(order) + "\n");
  command->id = order.id;
  order.state = OrderState::kSent;
  const Result<> kept = keep_order(app, order);  // before it leaves
  if (!kept) co_return app.failed(kept.error());
  const Duration left(order.expires.ns - app.env.wall().ns);
  const Duration lifetime = order.expires.ns == 0 ? kForever : std::max(left, Duration(1s));
  const Steering steering = co_await steer_run(app, *place, *command, lifetime);
  const auto& verdict = steering.verdict;
  if (verdict) {
    order.attempt = verdict->attempt;
    order.step = verdict->step;
    end_as(order, daemon::state_of(verdict->state), printable(verdict->text, wire::kRunReasonMax));
  } else if (steering.code == cli::kUsageError) {
    end_as(order, OrderState::kRefused, "no run can have this name");
  } else if (steering.code == cli::kNotFoundError) {
    end_as(order, OrderState::kMissing, "there is no such run");
  } else if (steering.code == cli::kAuthError) {
    end_as(order, OrderState::kDenied, "this node may not");
  } else if (is_late(app, order)) {
    end_as(order, OrderState::kUnknown, "it was sent, and nobody told in time what became of it");
  }
  co_return steering.code;
}

}  // namespace

io::Task<std::optional<int>> send_waiting(App& app, SteerOrder steer) {
  const std::string& site = steer.place.site.name;
  for (daemon::Order& order : waiting_orders(app)) {
    if (order.kind != daemon::OrderKind::kSteer || order.site != site) continue;
    const int code = co_await send_one(app, order);
    if (code == cli::kInterruptedByUser) co_return code;
    if (!is_final(order.state)) break;  // the link: later, and nothing overtakes it
    const Result<> kept = keep_order(app, order);
    if (!kept) app.console.err("the queue: " + kept.error().message() + "\n");
  }
  for (const daemon::Order& order : waiting_orders(app)) {
    if (order.kind != daemon::OrderKind::kSteer || order.site != site) continue;
    if (order.target != steer.place.run) continue;
    const Result<daemon::Order> queued = put_order(app, order_of(steer, app.env.wall()));
    if (!queued) co_return app.failed(queued.error());
    co_return tell_queued(app, *queued, "behind what was queued before", false);
  }
  co_return std::nullopt;
}

}  // namespace longhaul::proxy
