#include "proxy/push_round.hpp"

#include <fmt/format.h>

#include <fstream>
#include <iterator>

#include "lib/base/escape.hpp"
#include "lib/cli/exit_code.hpp"
#include "lib/cli/human.hpp"
#include "lib/transfer/plan.hpp"
#include "proxy/dataset_memory.hpp"
#include "proxy/session_end.hpp"
#include "proxy/site_rates.hpp"
#include "proxy/sites_file.hpp"
#include "proxy/watch_transfer.hpp"

namespace longhaul::proxy {
namespace {

constexpr const char* kNamesLike = "write one name a line, as it stands below the source";
constexpr int kRoundTrips = 3;  // two to connect, one to end: as transfer/plan.hpp has it

Result<std::string> text_of_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file)
    return fail(Error(Kind::kNotFound, "read " + printable(path), "it cannot be opened")
                    .advise("check its path, and that this user may read it"));
  return std::string(std::istreambuf_iterator<char>(file), {});
}

Result<ScanRequest> scan_request(const App& app, const PushOptions& options) {
  ScanRequest request;
  request.source = options.source;
  std::vector<std::string> rule_files = options.exclude_from;
  if (const auto set = app.config.find("push.exclude_from")) rule_files.push_back(set->value);
  for (const std::string& path : rule_files) TRY(request.rules.add(TRY(text_of_file(path))));
  for (const std::string& pattern : options.excludes) TRY(request.rules.add(pattern));
  if (!options.files_from.empty()) {
    const std::string listed = TRY(text_of_file(options.files_from));
    for (std::size_t at = 0; at < listed.size();) {
      const std::size_t end = std::min(listed.find('\n', at), listed.size());
      const std::string line = listed.substr(at, end - at);
      at = end + 1;
      if (line.empty()) continue;
      auto name = store::TreeName::parse(line);
      if (!name)
        return fail(
            Error(Kind::kUsage, "read " + printable(options.files_from), name.error().message())
                .advise(kNamesLike));
      request.only.push_back(*std::move(name));
    }
    if (request.only.empty())
      return fail(Error(Kind::kUsage, "read " + printable(options.files_from), "it lists no file")
                      .advise(kNamesLike));
  }
  return request;
}

// walked: since the source was walked, when connecting had begun, too.
PushTimes times_of(const transfer::Finished& finished, const session::LinkMemory& link,
                   Duration walked) {
  PushTimes times;
  const transfer::Progress& done = finished.progress;
  times.files = done.files_total;
  times.publish =
      std::chrono::microseconds(std::min<std::uint64_t>(finished.committed.took_us, 1ULL << 32));
  // Only of a push that used the link for a while, and that nothing else held back. A short one
  // tells of its beginning: 6 MB made of 60 MB/s 14.
  constexpr std::uint64_t kFlights = 8;
  const std::uint64_t in_flight = link.rate.bytes_in(link.rtt_min).value();
  if (done.limit != transfer::Stage::kLink || done.bytes_wire < kFlights * in_flight ||
      in_flight == 0)
    return times;
  const Duration sending =
      walked - times.publish - kRoundTrips * link.rtt_min - transfer::opening_time(link);
  if (sending > 100ms)
    times.rate = BytesPerSecond(done.bytes_wire * 1000 / static_cast<std::uint64_t>(sending / 1ms));
  return times;
}

}  // namespace

Result<PushTask> push_task(App& app, const PushOptions& options) {
  PushTask task;
  const Place place = TRY(parse_place(options.place));
  if (place.dataset.empty() || !place.version.empty()) {
    return fail(Error(Kind::kUsage, "push to " + options.place,
                      "a push makes a new version of SITE:DATASET")
                    .advise("write it like " + place.site + ":NAME"));
  }
  task.site = TRY(TRY(load_sites(app)).find(place.site));
  task.dataset = place.dataset;
  task.scan = TRY(scan_request(app, options));
  std::string limit = options.limit_rate;
  if (const auto set = app.config.find("push.limit_rate"); limit.empty() && set) limit = set->value;
  if (!limit.empty()) task.limit = TRY(cli::parse_rate(limit));
  task.mode = options.mode;
  task.trace = options.trace;
  task.telemetry = options.telemetry;
  return task;
}

ConnectOptions connect_options(const PushTask& task) {
  ConnectOptions options;
  options.trace = task.trace;
  options.telemetry = task.telemetry;
  options.rate_limit = task.limit;
  options.mode = task.mode;
  options.expects_bulk = true;
  return options;
}

void tell_problems(App& app, const ScannedSource& scanned) {
  for (const store::ScanProblem& problem : scanned.problems)
    app.console.err("left out: " + problem.name.shown() + ": " + problem.error.message() + "\n");
  if (scanned.problem_count > scanned.problems.size())
    app.console.err(
        fmt::format("left out: {} more\n", scanned.problem_count - scanned.problems.size()));
}

namespace {
void tell_stages(App& app) {
  cli::JsonLine line;
  line.add("event", "stages");
  for (std::size_t i = 0; i < kWorkStageNames.size(); ++i) {
    const StageClock::Figures figures = app.stages.at(static_cast<WorkStage>(i));
    const std::string name(kWorkStageNames[i]);
    line.add(name + "_seconds", static_cast<double>(figures.spent.count()) / 1e9);
    line.add(name + "_busy_seconds", static_cast<double>(figures.busy.count()) / 1e9);
  }
  app.json_line(line);
}
}  // namespace

int tell_end(App& app, const transfer::Finished& finished, const ScannedSource& scanned,
             Duration took) {
  const transfer::Progress& done = finished.progress;
  const std::string version = fmt::format("v{:06}", finished.committed.version);
  if (app.json) {
    tell_stages(app);
    cli::JsonLine line;
    line.add("event", "done").add("dataset", finished.dataset).add("version", version);
    line.add("root", finished.committed.root.hex()).add("existed", finished.committed.existed);
    line.add("files", done.files_total)
        .add("bytes", done.bytes_total)
        .add("bytes_present", done.bytes_present);
    line.add("bytes_raw", done.bytes_raw).add("bytes_wire", done.bytes_wire);
    line.add("bytes_manifest", done.bytes_manifest);
    line.add("left_out", scanned.problem_count)
        .add("seconds", static_cast<double>(took.count()) / 1e9);
    app.json_line(line);
  } else if (finished.committed.existed) {
    app.console.err(fmt::format("{} is unchanged: {} has it\n", finished.dataset, version));
  } else {
    app.console.err(fmt::format("{}@{}: {} files, {}; {} were there, {} crossed the link; {}\n",
                                finished.dataset, version, done.files_total,
                                cli::human(ByteCount(done.bytes_total)),
                                cli::human(ByteCount(done.bytes_present)),
                                cli::human(ByteCount(done.bytes_wire)), cli::human(took)));
  }
  return scanned.problem_count > 0 ? cli::kPartialResult : cli::kOk;
}

io::Task<Result<transfer::Finished>> push_scanned(App& app, Connection& connection,
                                                  const PushTask& task, ScannedSource& scanned,
                                                  Time walked) {
  transfer::SiteMemory memory = load_memory(app, task.site.name, task.dataset);
  const Result<> marked = mark_unfinished(app, task.site.name, task.dataset);
  if (!marked) co_return fail(marked.error());
  transfer::Exchange::PushOptions push_options;
  push_options.dataset = task.dataset;
  if (task.limit.value() > 0) push_options.limit = task.limit;
  const transfer::TransferId id = connection.exchange().start_push(
      app.env.now(), push_options, scanned.source, std::move(memory));
  connection.poke();
  const std::string title = "push " + task.dataset;
  Result<transfer::Finished> finished = co_await watch_transfer(app, connection, id, title);
  keep_scan(app, scanned);
  if (!finished) co_return fail(finished.error());
  connection.note_moved(finished->progress.bytes_wire);
  if (finished->error) co_return fail(explain_answer(*finished->error, task.site.name));
  if (!finished->committed.existed) {
    const session::LinkMemory learned = connection.session().learned();
    learn_push(app, task.site.name, times_of(*finished, learned, app.env.now() - walked));
  }
  if (finished->tree) keep_base(app, task.site.name, task.dataset, *finished->tree);
  co_return finished;
}

bool is_as_pushed(const App& app, const PushTask& task, const ScannedSource& scanned) {
  const transfer::SiteMemory memory = load_memory(app, task.site.name, task.dataset);
  return !memory.unfinished && transfer::plan_push(*scanned.source, memory).unchanged;
}

}  // namespace longhaul::proxy
