#include <fmt/format.h>

#include "lib/base/escape.hpp"
#include "lib/cli/exit_code.hpp"
#include "lib/cli/flat_json.hpp"
#include "lib/cli/human.hpp"
#include "proxy/ask.hpp"
#include "proxy/commands.hpp"
#include "proxy/daemon/run_lines.hpp"
#include "proxy/kept.hpp"
#include "proxy/run_text.hpp"
#include "proxy/run_watch.hpp"
#include "proxy/sites_file.hpp"

namespace longhaul::proxy {
namespace {

constexpr Duration kRunsTick = 250ms;
constexpr Duration kPatient = 3s;  // then it is said why nothing comes

using Config = std::map<std::string, std::string>;

io::Task<Result<std::vector<wire::RunLine>>> list_runs(App& app, Site site) {
  ConnectOptions options;
  options.required = session::kCapabilityRuns;
  Result<std::unique_ptr<Connection>> made = Connection::make(app, site, options);
  if (!made) co_return fail(made.error());
  const std::unique_ptr<Connection> connection = *std::move(made);
  connection->viewer().list(app.env.now());
  connection->poke();
  std::vector<wire::RunLine> lines;
  std::optional<Error> error;
  bool done = false, said = false;
  const Time began = app.env.now();
  app.when_stopped([&] {
    error = Error(Kind::kInterrupted, "list runs");
    connection->wake();
  });
  while (!done && !error) {
    while (std::optional<feed::Event> event = connection->viewer().poll_event()) {
      if (auto* page = std::get_if<feed::RunsListed>(&*event)) {
        for (wire::RunLine& line : page->lines) lines.push_back(std::move(line));
        done = page->last;
        if (page->error) error = page->error;
      } else if (const auto* broken = std::get_if<feed::FeedBroken>(&*event)) {
        error = broken->why;
      }
    }
    if (connection->ended() && (error || !done)) error = *connection->ended();
    if (done || error) break;
    const Time now = app.env.now();
    const auto reason = wait_reason(*connection, now);
    if (reason && !said && now - began > kPatient) {
      app.console.err("waiting: " + *reason + "\n");
      said = true;
    }
    const Time until = now + kRunsTick;
    co_await connection->changed(until);
  }
  app.on_stop = nullptr;
  co_await connection->close();
  if (error) co_return fail(*error);
  co_return lines;
}

Config config_of(const wire::RunLine& line) {
  const auto rows = cli::flat_json(line.config);
  return rows ? *rows : Config();
}

// What differs between the runs: rows that not all of them have alike.
std::vector<std::string> differing(const std::vector<Config>& configs) {
  std::map<std::string, std::map<std::string, std::size_t>> seen;
  for (const Config& config : configs)
    for (const auto& [name, value] : config) ++seen[name][value];
  std::vector<std::string> names;
  for (const auto& [name, values] : seen) {
    if (name == "tags" || name == "notes") continue;
    if (values.size() > 1 || values.begin()->second != configs.size()) names.push_back(name);
  }
  return names;
}

void say_json(App& app, const wire::RunLine& line, const Config& config) {
  cli::JsonLine values;
  for (const wire::NamedValue& value : line.values) {
    cli::JsonLine one;
    one.add("step", value.step).add("value", value.value);
    values.add(value.series, std::move(one));
  }
  cli::JsonLine rows;
  for (const auto& [name, value] : config) rows.add(name, value);
  cli::JsonLine out;
  out.add("event", "run").add("name", line.name).add("state", daemon::word_of(line.state));
  out.add("attempts", line.attempts).add("last_step", line.last_step);
  out.add("began_ns", line.began.ns).add("wrote_ns", line.wrote.ns).add("host", line.host);
  if (line.state == wire::RunState::kEnded) out.add("why", line.why);
  out.add("values", std::move(values)).add("config", std::move(rows));
  app.json_line(out);
}

std::string value_text(const wire::RunLine& line) {
  if (line.values.empty()) return "-";
  const wire::NamedValue& first = line.values[0];
  return printable(first.series, 40) + "=" + number_text(first.value);
}

void say_table(App& app, const std::vector<wire::RunLine>& lines,
               const std::vector<Config>& configs) {
  const auto names = differing(configs);
  std::size_t width = 4;
  for (const wire::RunLine& line : lines) width = std::max(width, printable(line.name, 60).size());
  app.console.out(fmt::format("{:<{}}  {:<8} {:>9}  {:>3}  {:<16}  {}\n", "RUN", width, "STATE",
                              "STEP", "ATT", "WROTE", "LAST"));
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const wire::RunLine& line = lines[i];
    std::string more;
    for (const std::string& name : names) {
      const auto found = configs[i].find(name);
      if (found != configs[i].end())
        more += "  " + printable(name, 30) + "=" + printable(found->second, 30);
    }
    for (const char* name : {"tags", "notes"}) {
      const auto found = configs[i].find(name);
      if (found != configs[i].end())
        more += fmt::format("  {}: {}", name, printable(found->second, 80));
    }
    app.console.out(fmt::format("{:<{}}  {:<8} {:>9}  {:>3}  {:<16}  {}{}\n",
                                printable(line.name, 60), width, daemon::word_of(line.state),
                                line.last_step, line.attempts, date_text(line.wrote),
                                value_text(line), more));
  }
}

}  // namespace

io::Task<int> runs(App& app, RunsOptions options) {
  const auto sites = load_sites(app);
  if (!sites) co_return app.failed(sites.error());
  const auto site = sites->find(options.site);
  if (!site) co_return app.failed(site.error());
  std::optional<KeptRuns> kept = co_await kept_runs(app, site->name);
  Result<std::vector<wire::RunLine>> lines = std::vector<wire::RunLine>();
  if (kept) {
    tell_age(app, site->name, kept->link, kept->heard);
    lines = std::move(kept->runs);
  } else {
    lines = co_await list_runs(app, *site);
  }
  if (!lines) co_return app.failed(lines.error());
  std::vector<Config> configs;
  for (const wire::RunLine& line : *lines) configs.push_back(config_of(line));
  if (app.json) {
    for (std::size_t i = 0; i < lines->size(); ++i) say_json(app, (*lines)[i], configs[i]);
  } else if (lines->empty()) {
    app.console.err("no runs there yet: a run is a folder below runs/ of the streamer's root\n");
  } else {
    say_table(app, *lines, configs);
  }
  co_return cli::kOk;
}

}  // namespace longhaul::proxy
