// What the daemon tells of itself, for people and as it came.
#include <fmt/format.h>

#include "lib/base/escape.hpp"
#include "lib/cli/exit_code.hpp"
#include "lib/cli/human.hpp"
#include "proxy/commands.hpp"
#include "proxy/daemon/order.hpp"
#include "proxy/daemon_client.hpp"
#include "proxy/orders.hpp"
#include "proxy/run_text.hpp"

namespace longhaul::proxy {
namespace {

constexpr std::size_t kEndedShown = 5;  // of the orders

std::string ago(const App& app, std::int64_t wall_ns) {
  if (wall_ns == 0) return "never";
  return cli::human(Duration(std::max<std::int64_t>(0, app.env.wall().ns - wall_ns))) + " ago";
}

std::string site_text(const App& app, const daemon::Fields& site) {
  const SiteLink link = site_link(site);
  std::string text = fmt::format("{}  {}", printable(site.text("site"), 64), link.state);
  if (link.state != "unserved") text += " for " + cli::human(link.since);
  if (site.has("path")) text += ", over " + printable(site.text("path"), 10);
  if (site.has("rtt_ms")) text += ", round trip " + printable(site.text("rtt_ms"), 6) + " ms";
  text += fmt::format("; {} runs, heard {}", site.count("runs").value_or(0),
                      ago(app, site.number("heard_ns").value_or(0)));
  if (!link.why.empty()) text += "\n  why: " + link.why;
  if (const auto next = site.number("next_try_ns"))
    text += "\n  next try in " + cli::human(Duration(*next));
  return text + "\n";
}

std::string mirror_text(const App& app, const daemon::Fields& mirror) {
  const bool complete = mirror.flag("complete");
  return fmt::format("  {}  attempt {}, live at step {}, complete to step {}{}, heard {}\n",
                     printable(mirror.text("run"), 200), mirror.count("attempt").value_or(0),
                     mirror.count("live_step").value_or(0),
                     mirror.count("complete_step").value_or(0),
                     complete ? ""
                              : fmt::format(" ({} of {} records)", mirror.count("here").value_or(0),
                                            mirror.count("recorded").value_or(0)),
                     ago(app, mirror.number("heard_ns").value_or(0)));
}

}  // namespace

std::string order_text(const App& app, const daemon::Order& order) {
  std::string text = fmt::format("  {:>3}  {}  {}, given {}", order.number, in_words(order),
                                 name_of(order.state), ago(app, order.made.ns));
  if (order.expires.ns != 0 && !is_final(order.state)) {
    const Duration left(order.expires.ns - app.env.wall().ns);
    text += left.count() > 0 ? ", expires in " + cli::human(left) : ", its time is over";
  }
  const bool follows = order.kind == daemon::OrderKind::kFollow;
  if (order.state == daemon::OrderState::kApplied && order.attempt > 0)
    text += fmt::format(" at step {} of attempt {}", order.step, order.attempt);
  if (follows && order.attempt > 0) text += fmt::format(", step {} is here", order.step);
  if (order.tries > 1) text += fmt::format(", try {}", order.tries);
  if (!order.text.empty()) text += ": " + printable(order.text, 400);
  return text + "\n";
}

io::Task<int> proxy_status(App& app) {
  const std::unique_ptr<DaemonClient> client = co_await DaemonClient::find(app);
  if (client == nullptr) {
    const auto waiting = waiting_orders(app);
    if (app.json) {
      cli::JsonLine line;
      line.add("event", "proxy").add("running", false).add("queue", waiting.size());
      app.json_line(line);
      for (const daemon::Order& order : waiting) app.console.out(to_text(order) + "\n");
    } else {
      app.console.out("no proxy daemon runs\n");
      if (!waiting.empty()) app.console.out("queued:\n");
      for (const daemon::Order& order : waiting) app.console.out(order_text(app, order));
    }
    co_return cli::kNotFoundError;
  }
  daemon::Request request;
  request.question = daemon::Question::kStatus;
  const Result<std::vector<std::string>> told = co_await client->lines(request);
  if (!told) co_return app.failed(told.error());
  std::string out, waiting;
  std::vector<std::string> ended;
  for (const std::string& line : *told) {
    if (app.json) {
      out += line + "\n";
      continue;
    }
    const auto fields = daemon::Fields::parse(line);
    if (!fields) co_return app.failed(fields.error());
    const std::string event = fields->text("event");
    if (event == "proxy")
      out += fmt::format(
          "running for {}: process {}, version {}, {} orders wait\n",
          cli::human(Duration(app.env.wall().ns - fields->number("began_ns").value_or(0))),
          fields->count("pid").value_or(0), printable(fields->text("version"), 40),
          fields->count("queue").value_or(0));
    if (event == "site") out += site_text(app, *fields);
    if (event == "mirror") out += mirror_text(app, *fields);
    if (event != "order") continue;
    const auto order = daemon::parse_order(line);
    if (!order) continue;
    if (is_final(order->state))
      ended.push_back(order_text(app, *order));
    else
      waiting += order_text(app, *order);
  }
  if (!waiting.empty()) out += "queued:\n" + waiting;
  if (!ended.empty()) out += "ended:\n";
  for (std::size_t i = ended.size() - std::min(ended.size(), kEndedShown); i < ended.size(); ++i)
    out += ended[i];
  app.console.out(out);
  co_return cli::kOk;
}

}  // namespace longhaul::proxy
