// One walk-and-push over a connection, as `push` does it once and `push --watch` again and again.
#pragma once

#include <string>

#include "proxy/app.hpp"
#include "proxy/commands.hpp"
#include "proxy/connection.hpp"
#include "proxy/sites.hpp"
#include "proxy/source_scan.hpp"

namespace longhaul::proxy {

struct PushTask {
  Site site;
  std::string dataset;
  ScanRequest scan;
  BytesPerSecond limit;  // zero: none
  std::string mode, trace, telemetry;
};

// What the command line and the configuration ask for; reads the files they name.
Result<PushTask> push_task(App& app, const PushOptions& options);
// How the connection of such a push is made.
ConnectOptions connect_options(const PushTask& task);

void tell_problems(App& app, const ScannedSource& scanned);

// Offers what was walked, waits for the end, keeps what was learned. `walked`: when the walk ended.
io::Task<Result<transfer::Finished>> push_scanned(App& app, Connection& connection,
                                                  const PushTask& task, ScannedSource& scanned,
                                                  Time walked);
// Says how it ended, as a line; returns the exit code.
int tell_end(App& app, const transfer::Finished& finished, const ScannedSource& scanned,
             Duration took);

// No push is needed: all is read, and it is what was pushed last. Never true after an unfinished
// push.
bool is_as_pushed(const App& app, const PushTask& task, const ScannedSource& scanned);

}  // namespace longhaul::proxy
