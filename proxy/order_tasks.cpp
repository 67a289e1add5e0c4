// Orders that a program of the daemon's carries out, as commands give them: pushes, checkpoints;
// and orders taken back.
#include <cstdlib>

#include "lib/cli/exit_code.hpp"
#include "proxy/ckpt.hpp"
#include "proxy/connection.hpp"
#include "proxy/daemon_client.hpp"
#include "proxy/daemon_place.hpp"
#include "proxy/orders.hpp"
#include "proxy/push_round.hpp"

namespace longhaul::proxy {
namespace {

constexpr Duration kNewOrderTime = 3s;   // until the daemon has seen what was given just now
constexpr Duration kWithdrawTime = 20s;  // for a program to end
constexpr Duration kWithdrawTick = 20ms;

Result<> served(const Site& site, const std::string& what) {
  if (site.listen.empty()) return {};
  return fail(Error(Kind::kUsage, what, site.name + " calls us, so that no daemon serves it")
                  .advise("run the command without --queue: it waits for the site's call"));
}

Result<std::string> absolute(const std::string& path) {
  std::unique_ptr<char, decltype(&std::free)> real(::realpath(path.c_str(), nullptr), &std::free);
  if (!real) return fail_errno("find " + printable(path), errno);
  return std::string(real.get());
}

// What is wrong with it is said now, not when the site can be reached.
Result<daemon::Order> push_order(App& app, const PushOptions& options) {
  const auto refused = [](std::string why) { return Error(Kind::kUsage, "queue the push", why); };
  if (options.dry_run || options.watch || !options.trace.empty() || !options.telemetry.empty()) {
    return fail(
        refused("--dry-run, --watch, --trace and --telemetry belong to a push that runs at "
                "once"));
  }
  const PushTask task = TRY(push_task(app, options));
  TRY(served(task.site, "queue the push"));
  daemon::Order order;
  order.kind = daemon::OrderKind::kPush;
  order.site = task.site.name;
  order.target = task.dataset;
  order.source = TRY(absolute(options.source));
  order.excludes = options.excludes;
  std::vector<std::string> rules = options.exclude_from;
  if (const auto set = app.config.find("push.exclude_from")) rules.push_back(set->value);
  for (const std::string& path : rules) order.exclude_from.push_back(TRY(absolute(path)));
  if (!options.files_from.empty()) order.files_from = TRY(absolute(options.files_from));
  order.limit_rate = options.limit_rate;
  if (const auto set = app.config.find("push.limit_rate"); order.limit_rate.empty() && set)
    order.limit_rate = set->value;
  order.mode = datagram::name_of(TRY(mode_wanted(app, options.mode)));
  if (std::max(order.excludes.size(), order.exclude_from.size()) > daemon::kOrderListMax)
    return fail(Kind::kLimit, "queue the push", "more than 256 patterns");
  return put_order(app, std::move(order));
}

io::Task<int> tell_given(App& app, Result<daemon::Order> queued) {
  if (!queued) co_return app.failed(queued.error());
  const std::unique_ptr<DaemonClient> client = co_await DaemonClient::find(app);
  if (client != nullptr) {
    co_await poke_daemon(*client);
  }
  if (app.json) {
    app.console.out(to_text(*queued) + "\n");
  } else {
    app.console.err("queued: " + in_words(*queued) +
                    (client != nullptr ? "; `longhaul proxy status` shows it\n"
                                       : "; `longhaul proxy start` begins it\n"));
  }
  co_return cli::kOk;
}

daemon::Order checkpoint_order(const RunPlace& place, const CheckpointHome& home) {
  daemon::Order order;
  order.site = place.site.name;
  order.target = place.run;
  order.into = home.path;
  return order;
}

Result<daemon::Order> follow_order(App& app, const RunPlace& place, const CheckpointHome& home,
                                   const CkptFollowOptions& options) {
  TRY(served(place.site, "follow checkpoints by the daemon"));
  daemon::Order order = checkpoint_order(place, home);
  order.kind = daemon::OrderKind::kFollow;
  order.limit_rate = options.limit_rate;
  order.keep = options.keep;
  order.full = options.full;
  order.full_daily = options.full_daily;
  for (const daemon::Order& other : waiting_orders(app)) {
    if (other.kind != order.kind || other.site != order.site) continue;
    if (other.target != order.target || other.into != order.into) continue;
    const std::string number = std::to_string(other.number);
    return fail(Error(Kind::kExists, "follow checkpoints by the daemon",
                      "order " + number + " brings them into that folder already")
                    .advise("`longhaul proxy withdraw " + number + "` ends it"));
  }
  return put_order(app, std::move(order));
}

// While no daemon runs.
Result<daemon::Order> withdraw_here(App& app, std::uint64_t number) {
  for (daemon::Order& order : waiting_orders(app)) {
    if (order.number != number) continue;
    if (order.kind == daemon::OrderKind::kSteer && order.state != daemon::OrderState::kQueued)
      return fail(Kind::kUsage, "withdraw the order", "it may have left");
    order.state = daemon::OrderState::kWithdrawn;
    TRY(keep_order(app, order));
    return order;
  }
  return fail(Kind::kNotFound, "withdraw the order", "none of that number waits");
}

// Until its program has ended.
io::Task<Result<daemon::Order>> withdraw_there(App& app, DaemonClient& client,
                                               std::uint64_t number) {
  const Time began = app.env.now();
  daemon::Request request;
  request.question = daemon::Question::kWithdraw;
  request.id = number;
  std::optional<daemon::Order> order;
  for (;;) {
    const Result<std::vector<std::string>> told = co_await client.lines(request);
    const Time now = app.env.now();
    const bool fresh = now - began < kNewOrderTime;
    if (!told && !(told.error().kind() == Kind::kNotFound && fresh)) co_return fail(told.error());
    for (const std::string& line : told ? *told : std::vector<std::string>())
      if (auto read = daemon::parse_order(line))
        order = *std::move(read);  // else it is of the link
    if (order && is_final(order->state)) co_return *order;
    if (order) {
      request.question = daemon::Question::kOrder;
      request.id = order->id;
    }
    if (now - began > kWithdrawTime)
      co_return fail(Kind::kTimeout, "withdraw the order", "its program has not ended yet");
    const Time later = now + kWithdrawTick;
    co_await app.env.sleep_until(later);
  }
}

}  // namespace

io::Task<int> order_push(App& app, PushOptions options) {
  Result<daemon::Order> queued = push_order(app, options);
  co_return co_await tell_given(app, std::move(queued));
}

io::Task<int> order_fetch(App& app, FetchOrder fetch) {
  const Result<> may = served(fetch.place.site, "fetch a checkpoint by the daemon");
  if (!may) co_return app.failed(may.error());
  daemon::Order order = checkpoint_order(fetch.place, fetch.home);
  order.kind = daemon::OrderKind::kFetch;
  if (fetch.step) order.target += "@" + std::to_string(*fetch.step);
  order.limit_rate = fetch.limit_rate;
  order.full = fetch.full;
  Result<daemon::Order> queued = put_order(app, std::move(order));
  co_return co_await tell_given(app, std::move(queued));
}

io::Task<int> order_follow(App& app, RunPlace place, CheckpointHome home,
                           CkptFollowOptions options) {
  Result<daemon::Order> queued = follow_order(app, place, home, options);
  co_return co_await tell_given(app, std::move(queued));
}

io::Task<int> proxy_withdraw(App& app, WithdrawOptions options) {
  const std::unique_ptr<DaemonClient> client = co_await DaemonClient::find(app);
  Result<daemon::Order> order = fail(Kind::kTimeout, "withdraw the order", "the daemon is busy");
  if (client != nullptr) {
    order = co_await withdraw_there(app, *client, options.number);
  } else {
    const Result<DaemonLock> lock = look_at_daemon(app);
    if (!lock) {
      order = fail(lock.error());
    } else if (*lock == DaemonLock::kFree) {
      order = withdraw_here(app, options.number);
    }
  }
  if (!order) co_return app.failed(order.error());
  if (app.json)
    app.console.out(to_text(*order) + "\n");
  else
    app.console.err(order_text(app, *order));
  const bool withdrawn = order->state == daemon::OrderState::kWithdrawn;
  co_return withdrawn ? cli::kOk : cli::kPartialResult;
}

}  // namespace longhaul::proxy
