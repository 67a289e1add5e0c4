// What the daemon says to commands (docs/proxy.md).
#include <unistd.h>

#include "lib/session/path_choice.hpp"
#include "proxy/proxy_daemon.hpp"

namespace longhaul::proxy {
namespace {

constexpr Duration kRefreshTime = 1s;  // for a list of runs over a link that is up
constexpr Duration kRefreshTick = 10ms;
constexpr std::size_t kMirrorsShown = 500;  // of a site

std::int64_t since_ns(Time now, Time then) {
  return (now - then).count();
}

}  // namespace

void ProxyDaemon::say_link(const SiteKeeper& keeper, cli::JsonLine& line) const {
  const Time now = app_.env.now();
  const daemon::LinkPlan& link = keeper.core().link();
  if (!keeper.serves()) {
    line.add("link", "unserved").add("link_why", "the site calls us: commands listen for it");
    return;
  }
  line.add("link", name_of(link.state())).add("link_since_ns", since_ns(now, link.since()));
  std::string why;
  if (link.state() != daemon::LinkState::kUp) {
    if (link.why()) why = link.why()->message();
    if (keeper.connection() != nullptr && keeper.connection()->dial_error())
      why = keeper.connection()->dial_error()->message();
  }
  line.add("link_why", why);
  if (link.state() == daemon::LinkState::kWaiting)
    line.add("next_try_ns", std::max<std::int64_t>(0, (link.next() - now).count()));
}

void ProxyDaemon::say_site(const SiteKeeper& keeper, std::vector<std::string>& lines) const {
  const daemon::SiteCore& core = keeper.core();
  cli::JsonLine line;
  line.add("event", "site").add("site", keeper.site().name).add("way", way_to(keeper.site()));
  say_link(keeper, line);
  if (keeper.connection() != nullptr && core.link().state() == daemon::LinkState::kUp) {
    const session::Status status = keeper.connection()->session().status();
    line.add("path", status.datagrams ? "udp" : "tls");
    line.add("path_why", session::name_of(status.choice));
    line.add("rtt_ms", static_cast<double>(status.rtt.count()) / 1e6);
    line.add("loss_ppm", status.loss_ppm).add("queued_bytes", status.queued_bytes);
  }
  line.add("runs", core.list().runs.size()).add("heard_ns", core.list().heard.ns);
  line.add("watched", core.board().watched()).add("orders", core.orders());
  line.add("turns", keeper.turns());
  lines.push_back(line.text());
  std::size_t shown = 0;
  for (const std::string& run : core.board().names()) {
    if (shown == kMirrorsShown) break;
    const auto marks = core.board().marks(run);
    if (!marks || !marks->kept) continue;
    lines.push_back(say_mirror(keeper, run));
    ++shown;
  }
}

std::string ProxyDaemon::say_mirror(const SiteKeeper& keeper, const std::string& run) const {
  const daemon::RunMarks marks = keeper.core().board().marks(run).value_or(daemon::RunMarks());
  cli::JsonLine line;
  line.add("event", "mirror").add("site", keeper.site().name).add("run", run);
  say_link(keeper, line);
  line.add("kept", marks.kept).add("watched", marks.watched).add("complete", marks.complete);
  line.add("attempt", marks.attempt).add("recorded", marks.recorded).add("here", marks.here);
  line.add("live_step", marks.live_step).add("complete_step", marks.complete_step);
  line.add("wrote_ns", marks.wrote.ns).add("heard_ns", marks.heard.ns);
  const auto* refused = keeper.core().board().refusal(run);
  if (refused != nullptr && *refused) line.add("refused", (*refused)->message());
  return line.text();
}

std::vector<std::string> ProxyDaemon::status() const {
  std::vector<std::string> lines;
  std::size_t waiting = 0;
  for (const auto& [number, order] : orders_) waiting += is_final(order.state) ? 0U : 1U;
  cli::JsonLine line;
  line.add("event", "proxy").add("version", version_).add("pid", std::int64_t{::getpid()});
  line.add("began_ns", began_.ns).add("socket", socket_);
  line.add("sites", sites_.size()).add("queue", waiting);
  lines.push_back(line.text());
  for (const auto& [name, kept] : sites_) say_site(*kept.keeper, lines);
  for (const auto& [number, order] : orders_) lines.push_back(daemon::to_text(order));
  return lines;
}

// Asked anew if the link is up: one round trip over a session that stands.
io::Task<ProxyDaemon::Lines> ProxyDaemon::answer_runs(daemon::Request request) {
  const Time until = app_.env.now() + kRefreshTime;
  SiteKeeper* keeper = keeper_of(request.site);
  keeper->core().refresh(app_.env.now());
  keeper->wake();
  // By its name each time: the site may be forgotten meanwhile.
  for (;;) {
    keeper = keeper_of(request.site);
    const Time now = app_.env.now();
    if (keeper == nullptr)
      co_return fail(Kind::kNotFound, "list the runs of " + request.site, "it was forgotten");
    const bool up = keeper->core().link().state() == daemon::LinkState::kUp;
    if (!up || keeper->core().list_is_fresh(now) || now >= until) break;
    const Time later = now + kRefreshTick;
    co_await app_.env.sleep_until(later);
  }
  std::vector<std::string> lines;
  cli::JsonLine head;
  head.add("event", "list").add("site", request.site);
  say_link(*keeper, head);
  head.add("heard_ns", keeper->core().list().heard.ns);
  lines.push_back(head.text());
  for (const wire::RunLine& run : keeper->core().list().runs) lines.push_back(daemon::to_line(run));
  co_return lines;
}

ProxyDaemon::Lines ProxyDaemon::withdraw(std::uint64_t number) {
  const auto found = orders_.find(number);
  if (found == orders_.end()) {
    poke();  // it may have been given just now
    return fail(Kind::kNotFound, "withdraw the order", "none of that number is known");
  }
  SiteKeeper* const keeper = keeper_of(found->second.site);
  if (is_final(found->second.state)) {
    // It is told what became of it.
  } else if (keeper != nullptr) {
    TRY(keeper->core().withdraw(app_.env.now(), number));
    keeper->wake();
  } else {
    daemon::Order order = found->second;  // of a site that was forgotten
    order.state = daemon::OrderState::kWithdrawn;
    note(order);
  }
  return std::vector<std::string>{daemon::to_text(orders_.at(number))};
}

io::Task<ProxyDaemon::Lines> ProxyDaemon::answer(daemon::Request request) {
  using daemon::Question;
  const bool of_site = request.question == Question::kRuns || request.question == Question::kRun;
  SiteKeeper* keeper = of_site ? keeper_of(request.site) : nullptr;
  if (of_site && keeper == nullptr)
    co_return fail(Kind::kNotFound, "look at the site", "the daemon knows none of that name");
  if (request.question == Question::kRuns) co_return co_await answer_runs(std::move(request));
  std::vector<std::string> lines;
  switch (request.question) {
    case Question::kStatus:
      lines = status();
      break;
    case Question::kRuns:
      break;
    case Question::kRun:
      keeper->core().board().ask(app_.env.now(), request.run);
      keeper->wake();
      lines.push_back(say_mirror(*keeper, request.run));
      break;
    case Question::kOrder:
      for (const auto& [number, order] : orders_) {
        if (order.id != request.id) continue;
        lines.push_back(daemon::to_text(order));
        if (const SiteKeeper* of = keeper_of(order.site)) {
          cli::JsonLine link;
          link.add("event", "link");
          say_link(*of, link);
          lines.push_back(link.text());
        }
      }
      break;
    case Question::kWork:
      poke();
      break;
    case Question::kWithdraw:
      co_return withdraw(request.id);
    case Question::kStop:
      stop();
      break;
  }
  co_return lines;
}

}  // namespace longhaul::proxy
