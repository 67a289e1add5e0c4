#include <fmt/format.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstdlib>

#include "lib/base/escape.hpp"
#include "lib/cli/exit_code.hpp"
#include "lib/cli/human.hpp"
#include "lib/io/posix_files.hpp"
#include "lib/store/version.hpp"
#include "lib/transfer/folder_sink.hpp"
#include "proxy/commands.hpp"
#include "proxy/connection.hpp"
#include "proxy/dataset_memory.hpp"
#include "proxy/session_end.hpp"
#include "proxy/sites_file.hpp"
#include "proxy/watch_transfer.hpp"

namespace longhaul::proxy {
namespace {

struct Plan {
  Site site;
  std::string dataset;
  std::uint64_t version = 0;
  std::shared_ptr<io::PosixFiles> target;
  PullPlace place;
  BytesPerSecond limit;
};

Result<Plan> make_plan(App& app, const PullOptions& options) {
  Plan plan;
  const Place place = TRY(parse_place(options.place));
  if (place.dataset.empty())
    return fail(Kind::kUsage, "pull " + options.place, "it names no dataset");
  plan.site = TRY(TRY(load_sites(app)).find(place.site));
  plan.dataset = place.dataset;
  if (!place.version.empty()) {
    const auto number = store::parse_version(place.version);
    if (!number)
      return fail(
          Error(Kind::kUsage, "pull " + options.place, "'" + place.version + "' is no version")
              .advise("versions look like v000001; `longhaul ls " + place.site + ":" +
                      place.dataset + "` lists them"));
    plan.version = number->value();
  }
  std::string limit = options.limit_rate;
  if (const auto set = app.config.find("pull.limit_rate"); limit.empty() && set) limit = set->value;
  if (!limit.empty()) plan.limit = TRY(cli::parse_rate(limit));
  if (::mkdir(options.target.c_str(), 0755) != 0 && errno != EEXIST)
    return fail_errno("make the folder " + printable(options.target), errno);
  plan.target = TRY(io::PosixFiles::at(options.target));
  std::unique_ptr<char, decltype(&std::free)> real(::realpath(options.target.c_str(), nullptr),
                                                   &std::free);
  if (!real) return fail_errno("pull into " + printable(options.target), errno);
  plan.place = {real.get(), plan.site.name, plan.dataset};
  return plan;
}

}  // namespace

io::Task<int> pull(App& app, PullOptions options) {
  const Time began = app.env.now();
  Result<Plan> plan = make_plan(app, options);
  if (!plan) co_return app.failed(plan.error());
  ConnectOptions connect_options;
  connect_options.trace = options.trace;
  connect_options.telemetry = options.telemetry;
  if (plan->limit.value() > 0) connect_options.required = session::kCapabilityPace;
  connect_options.mode = options.mode;
  connect_options.expects_bulk = true;
  Result<std::unique_ptr<Connection>> made = Connection::make(app, plan->site, connect_options);
  if (!made) co_return app.failed(made.error());
  const std::unique_ptr<Connection> connection = *std::move(made);
  transfer::FolderOptions folder;
  folder.force = options.force;
  folder.remove_others = options.delete_extra;
  recall_pull(app, plan->place, folder);
  auto sink = std::make_shared<transfer::FolderSink>(plan->target, plan->dataset, folder);
  transfer::Exchange::PullOptions pull_options;
  pull_options.dataset = plan->dataset;
  pull_options.version = plan->version;
  if (plan->limit.value() > 0) pull_options.limit = plan->limit;
  if (folder.pulled) pull_options.base = folder.pulled->root();
  // A staging that an earlier pull left is asked for chunk by chunk; without one this costs
  // nothing.
  pull_options.unfinished = plan->target->stat(store::TreeName::known(".longhaul")).has_value();
  const transfer::TransferId id =
      connection->exchange().start_pull(app.env.now(), pull_options, sink);
  connection->poke();
  const std::string title = "pull " + plan->dataset;
  Result<transfer::Finished> finished = co_await watch_transfer(app, *connection, id, title);
  if (finished) connection->note_moved(finished->progress.bytes_wire);
  co_await connection->close();
  if (!finished) co_return app.failed(finished.error());
  if (finished->error) co_return app.failed(explain_answer(*finished->error, plan->place.site));
  keep_pull(app, plan->place);
  const Duration took = app.env.now() - began;
  const transfer::Progress& done = finished->progress;
  if (app.json) {
    cli::JsonLine line;
    line.add("event", "done").add("dataset", plan->dataset).add("files", done.files_total);
    line.add("bytes", done.bytes_total).add("bytes_present", done.bytes_present);
    line.add("bytes_wire", done.bytes_wire).add("root", finished->committed.root.hex());
    line.add("seconds", static_cast<double>(took.count()) / 1e9);
    app.json_line(line);
  } else {
    app.console.err(fmt::format("{}: {} files, {}; {} were there; {}\n", plan->dataset,
                                done.files_total, cli::human(ByteCount(done.bytes_total)),
                                cli::human(ByteCount(done.bytes_present)), cli::human(took)));
  }
  co_return cli::kOk;
}

}  // namespace longhaul::proxy
