// `longhaul probe SITE`: what the link to a site is like.
#include <array>
#include <charconv>
#include <fstream>

#include "lib/cli/exit_code.hpp"
#include "lib/cli/human.hpp"
#include "lib/session/handshake.hpp"
#include "proxy/ask.hpp"
#include "proxy/commands.hpp"
#include "proxy/probe_text.hpp"
#include "proxy/sites_file.hpp"

namespace longhaul::proxy {
namespace {

constexpr Duration kProbeTick = 200ms;
constexpr std::uint64_t kBudgetLeast = 500'000, kBudgetMost = 1'000'000'000;
constexpr Duration kTimeLeast = 3s, kTimeMost = 60s;
// For what is on its way when the time is over.
constexpr Duration kProbeSlack = 15s;
constexpr const char* kBudgetLike = "a size, a time or both: --budget 20MB,10s";

// "20MB", "20MB,10s", "5s".
Result<> read_budget(const std::string& text, probe::ProberOptions& into) {
  std::size_t at = 0;
  while (at <= text.size()) {
    const std::size_t end = std::min(text.find(',', at), text.size());
    const std::string part = text.substr(at, end - at);
    at = end + 1;
    if (const auto size = cli::parse_size(part)) {
      into.budget_bytes = size->value();
    } else if (const auto span = cli::parse_duration(part)) {
      into.time = *span;
    } else {
      return fail(Error(Kind::kUsage, "read the budget " + text, "'" + part + "' is neither")
                      .advise(kBudgetLike));
    }
  }
  if (into.budget_bytes < kBudgetLeast || into.budget_bytes > kBudgetMost)
    return fail(Error(Kind::kUsage, "read the budget " + text, "it may send from 500kB to 1GB")
                    .advise(kBudgetLike));
  if (into.time < kTimeLeast || into.time > kTimeMost)
    return fail(Error(Kind::kUsage, "read the budget " + text, "it may take from 3s to 60s")
                    .advise(kBudgetLike));
  return {};
}

// Longer and longer ones, up to `longest`.
Result<std::vector<Duration>> silences_of(const std::string& longest) {
  constexpr std::array<Duration, 12> kSilences = {10s, 15s,  20s,  30s,  45s,  60s,
                                                  90s, 2min, 3min, 4min, 5min, 7min};
  const auto most = cli::parse_duration(longest);
  if (!most || *most < kSilences.front() || *most > probe::ProbeSite::kSilenceMax)
    return fail(Error(Kind::kUsage, "read the silence " + longest, "it may last from 10s to 10m")
                    .advise("most home routers forget a port after 30s to 5m: --nat 5m"));
  std::vector<Duration> out;
  for (const Duration one : kSilences) {
    if (one < *most) out.push_back(one);
  }
  out.push_back(*most);
  return out;
}

struct ProfileFile {
  std::string path, name;
};
// "home" or "links/home.json": a file, and the name that stands in it.
Result<ProfileFile> profile_file(const std::string& wanted) {
  ProfileFile out;
  out.path = wanted;
  if (out.path.size() < 5 || out.path.substr(out.path.size() - 5) != ".json") out.path += ".json";
  out.name = out.path.substr(out.path.find_last_of('/') + 1);
  out.name.resize(out.name.size() - 5);
  TRY(check_name(out.name, "profile"));
  return out;
}

Result<> write_profile(const ProfileFile& file, const ProbeStory& story) {
  std::ofstream out(file.path, std::ios::binary | std::ios::trunc);
  out << probe::profile_text(story.figures, file.name, "longhaul probe " + story.site);
  out.close();
  if (!out) return fail(Kind::kIo, "write " + file.path);
  return {};
}

Error cannot(const Site& site, const std::string& why) {
  return Error(Kind::kUnsupported, "probe " + site.name, why);
}

// Until the probe is over; an error where there is nothing to show.
io::Task<Result<>> follow(App& app, Site site, Connection& connection, Duration silence) {
  const Time began = app.env.now();
  std::optional<Time> started;
  std::optional<Error> error;
  probe::Prober* prober = connection.prober();
  app.when_stopped([&] {
    error = Error(Kind::kInterrupted, "probe " + site.name);
    connection.wake();
  });
  while (!error) {
    const Time now = app.env.now();
    if (connection.ended()) {
      error = *connection.ended();
    } else if (!connection.established()) {  // it gives up by itself
    } else if (prober == nullptr) {          // TLS alone: what the session knows is all
      if (now - began > 3s) break;
    } else if (!started) {
      if ((connection.capabilities() & session::kCapabilityProbe) == 0) {
        error = cannot(site, "its streamer is older than this command, or has no UDP")
                    .advise("bring longhaul there up to date");
      } else if (connection.udp_peer()) {
        started = now;
        prober->start(now, *connection.udp_peer());
        connection.poke();
      }
    } else if (prober->finished() || now - *started > kTimeMost + kProbeSlack + silence) {
      break;
    }
    if (error) break;
    co_await connection.changed(now + kProbeTick);
  }
  app.on_stop = nullptr;
  if (error) co_return fail(*error);
  co_return Result<>();
}

struct Wanted {
  probe::ProberOptions prober;
  std::optional<ProfileFile> file;
  std::uint64_t compared_bytes = 0;
  Duration silence{};  // the longest
};
Result<Wanted> wanted_of(const ProbeOptions& options) {
  Wanted out;
  TRY(read_budget(options.budget, out.prober));
  if (!options.save_profile.empty()) out.file = TRY(profile_file(options.save_profile));
  if (!options.compare.empty()) {
    const auto size = cli::parse_size(options.compare);
    if (!size || size->value() < kBudgetLeast || size->value() > kBudgetMost / 2)
      return fail(Kind::kUsage, "read the size " + options.compare,
                  "it may be from 500kB to 500MB");
    out.compared_bytes = size->value();
  }
  if (!options.nat.empty()) {
    out.prober.silences = TRY(silences_of(options.nat));
    out.silence = out.prober.silences.back();
  }
  return out;
}

// An error: there is nothing to tell.
Result<ProbeStory> story_of(const Site& site, Connection& connection) {
  ProbeStory story;
  story.site = site.name;
  const session::Status status = connection.session().status();
  story.path = status.datagrams ? "UDP" : "TLS";
  story.why = session::name_of(status.choice);
  story.tls_rtt_ms = static_cast<double>(status.rtt.count()) / 1e6;
  story.tls_rtt_least_ms = static_cast<double>(status.rtt_min.count()) / 1e6;
  const probe::Prober* prober = connection.prober();
  if (prober == nullptr) return story;
  // A silent UDP port is a finding, any other failure is one.
  if (prober->error() && prober->error()->kind() != Kind::kTimeout) return fail(*prober->error());
  story.udp = !prober->error();
  if (!story.udp) return story;
  story.figures = probe::estimate(prober->samples());
  story.nat = prober->nat();
  story.figures.mtu_bytes = prober->mtu_bytes();
  story.figures.bytes_up = prober->bytes_up();
  story.figures.bytes_down = prober->bytes_down();
  story.figures.took = prober->took();
  story.figures.cut_short = prober->cut_short();
  return story;
}

int keep_profile(App& app, const ProfileFile& file, const Site& site, const ProbeStory& story) {
  if (!story.udp) return app.failed(cannot(site, "no profile is written: UDP is not answered"));
  const Result<> written = write_profile(file, story);
  if (!written) return app.failed(written.error());
  if (!app.json)
    app.console.err("wrote " + file.path + ": netsim run --profile ./" + file.path + " -- CMD\n");
  return cli::kOk;
}

}  // namespace

io::Task<int> probe(App& app, ProbeOptions options) {
  const auto sites = load_sites(app);
  if (!sites) co_return app.failed(sites.error());
  const auto site = sites->find(options.site);
  if (!site) co_return app.failed(site.error());
  const Result<Wanted> wanted = wanted_of(options);
  if (!wanted) co_return app.failed(wanted.error());
  ConnectOptions connect;
  connect.probe = wanted->prober;
  app.env.entropy(connect.probe->seed.writable());
  connect.probe->wall_less_now_ns = app.env.wall().ns - app.env.now().time_since_epoch().count();
  Result<std::unique_ptr<Connection>> made = Connection::make(app, *site, connect);
  if (!made) co_return app.failed(made.error());
  const std::unique_ptr<Connection> connection = *std::move(made);
  const Result<> followed = co_await follow(app, *site, *connection, wanted->silence);
  Result<ProbeStory> story = story_of(*site, *connection);
  co_await connection->close();
  if (!followed) co_return app.failed(followed.error());
  if (!story) co_return app.failed(story.error());
  std::optional<Error> not_compared;
  if (story->udp && wanted->compared_bytes > 0) {
    const auto compared = co_await compare_ways(app, *site, wanted->compared_bytes);
    if (compared) story->compared = *compared;
    if (!compared) not_compared = compared.error();
  }
  if (app.json) {
    app.json_line(probe_json(*story));
  } else {
    app.console.out(probe_text(*story));
  }
  if (not_compared) co_return app.failed(*not_compared);
  if (!wanted->file) co_return cli::kOk;
  co_return keep_profile(app, *wanted->file, *site, *story);
}

}  // namespace longhaul::proxy
