#include "proxy/kept.hpp"

#include "lib/base/escape.hpp"
#include "lib/cli/human.hpp"
#include "proxy/daemon/run_lines.hpp"

namespace longhaul::proxy {
namespace {

constexpr Duration kKeptTick = 50ms;
constexpr Duration kUpTime = 1s;      // for a link that is being made
constexpr Duration kMirrorTime = 5s;  // for a mirror to be begun, over a link that is up

bool is_away(const SiteLink& link) {
  return link.state == "down" || link.state == "waiting" || link.state == "connecting";
}

}  // namespace

io::Task<std::optional<KeptRuns>> kept_runs(App& app, std::string site) {
  const std::unique_ptr<DaemonClient> client = co_await DaemonClient::find(app);
  if (client == nullptr) co_return std::nullopt;
  daemon::Request request;
  request.question = daemon::Question::kRuns;
  request.site = site;
  const Result<std::vector<std::string>> told = co_await client->lines(request);
  if (!told || told->empty()) co_return std::nullopt;
  const auto head = daemon::Fields::parse(told->front());
  if (!head) co_return std::nullopt;
  KeptRuns kept{{}, site_link(*head), {head->number("heard_ns").value_or(0)}};
  if (kept.link.state == "unserved" || kept.heard.ns == 0) co_return std::nullopt;
  for (std::size_t i = 1; i < told->size(); ++i) {
    auto run = daemon::parse_run_line((*told)[i]);
    if (!run) co_return std::nullopt;
    kept.runs.push_back(*std::move(run));
  }
  co_return kept;
}

io::Task<std::optional<KeptRun>> kept_run(App& app, RunPlace place) {
  const std::unique_ptr<DaemonClient> client = co_await DaemonClient::find(app);
  if (client == nullptr) co_return std::nullopt;
  bool stop = false;
  app.when_stopped([&stop] { stop = true; });
  const Time began = app.env.now();
  std::optional<KeptRun> kept;
  daemon::Request request;
  request.question = daemon::Question::kRun;
  request.site = place.site.name;
  request.run = place.run;
  while (!stop) {
    const Result<std::vector<daemon::Fields>> told = co_await client->ask(request);
    if (!told || told->empty()) break;
    const daemon::Fields& mirror = told->front();
    const SiteLink link = site_link(mirror);
    const Duration waited = app.env.now() - began;
    const bool away = is_away(link) && (link.state != "connecting" || waited > kUpTime);
    if (link.state == "unserved" || mirror.has("refused")) break;
    if (!away && !mirror.flag("watched") && waited > kMirrorTime) break;
    if (away || mirror.flag("complete")) {
      kept.emplace();
      kept->link = link;
      kept->heard.ns = mirror.number("heard_ns").value_or(0);
      kept->last.attempt = static_cast<std::uint32_t>(mirror.count("attempt").value_or(0));
      kept->last.recorded = mirror.count("recorded").value_or(0);
      kept->last.wrote.ns = mirror.number("wrote_ns").value_or(0);
      break;
    }
    const Time later = app.env.now() + kKeptTick;
    co_await app.env.sleep_until(later);
  }
  app.on_stop = nullptr;
  co_return kept;
}

void tell_age(App& app, const std::string& site, const SiteLink& link, WallTime heard) {
  if (!is_away(link)) return;
  std::string text = site + " is out of reach";
  if (heard.ns > 0)
    text += "; this was heard " + cli::human(Duration(app.env.wall().ns - heard.ns)) + " ago";
  app.console.err(text + "\n");
}

}  // namespace longhaul::proxy
