#include "lib/cli/exit_code.hpp"
#include "lib/cli/log_lines.hpp"
#include "proxy/commands.hpp"
#include "proxy/daemon_log.hpp"
#include "proxy/daemon_place.hpp"
#include "proxy/proxy_daemon.hpp"

namespace longhaul::proxy {

io::Task<int> proxy_run(App& app, ProxyOptions options) {
  std::unique_ptr<DaemonLog> file;
  if (!options.log.empty()) {
    auto opened = DaemonLog::open(options.log);
    if (!opened) co_return app.failed(opened.error());
    file = *std::move(opened);
  }
  cli::Console& console = file != nullptr ? *file : app.console;
  const LogLevel least = app.log.wants(LogLevel::kDebug) ? LogLevel::kDebug : LogLevel::kInfo;
  cli::LogLines log(console, least);
  // What it does for others has a console of its own; nothing of it goes to stdout.
  App own{app.env, console, log, app.home, app.config, false, {}};
  ProxyDaemon daemon(own, options.version);
  app.when_stopped([&daemon] { daemon.stop(); });
  auto ready = [&app, &options] {
    if (app.json)
      app.json_line(cli::JsonLine().add("event", "running").add("version", options.version));
  };
  const Result<> ended = co_await daemon.run(ready);
  app.on_stop = nullptr;
  if (!ended) co_return own.failed(ended.error());
  co_return cli::kOk;
}

}  // namespace longhaul::proxy
