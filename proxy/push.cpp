#include "lib/cli/exit_code.hpp"
#include "proxy/commands.hpp"
#include "proxy/dry_run.hpp"
#include "proxy/orders.hpp"
#include "proxy/push_round.hpp"
#include "proxy/push_watch.hpp"

namespace longhaul::proxy {
namespace {

io::Task<int> push_once(App& app, PushTask task) {
  const Time began = app.env.now();
  // Dialling and walking overlap: the walk of a large tree takes as long as some round trips.
  Result<std::unique_ptr<Connection>> made =
      Connection::make(app, task.site, connect_options(task));
  if (!made) co_return app.failed(made.error());
  const std::unique_ptr<Connection> connection = *std::move(made);
  Result<ScannedSource> scanned = co_await scan_source(app, task.scan);
  if (!scanned) {
    co_await connection->close();
    co_return app.failed(scanned.error());
  }
  tell_problems(app, *scanned);
  const Time walked = app.env.now();
  const Result<transfer::Finished> finished =
      co_await push_scanned(app, *connection, task, *scanned, walked);
  co_await connection->close();
  if (!finished) co_return app.failed(finished.error());
  co_return tell_end(app, *finished, *scanned, app.env.now() - began);
}

io::Task<int> push_dry(App& app, PushTask task) {
  const Time began = app.env.now();
  const Result<ScannedSource> scanned = co_await scan_source(app, task.scan);
  if (!scanned) co_return app.failed(scanned.error());
  tell_problems(app, *scanned);
  const DryRun what{task.site, task.dataset, task.limit, app.env.now() - began};
  co_return co_await dry_run(app, what, *scanned);
}

}  // namespace

io::Task<int> push(App& app, PushOptions options) {
  if (options.queue) co_return co_await order_push(app, std::move(options));
  Result<PushTask> task = push_task(app, options);
  if (!task) co_return app.failed(task.error());
  if (options.dry_run) co_return co_await push_dry(app, *std::move(task));
  if (options.watch) co_return co_await push_watch(app, *std::move(task));
  co_return co_await push_once(app, *std::move(task));
}

}  // namespace longhaul::proxy
