// DaemonPlace: where the daemon of this user and home is found:
//
//   STATE/proxy.lock            held while one runs
//   STATE/proxy/                lists of runs; STATE/queue/: orders; STATE/proxy.log: its log
//   $XDG_RUNTIME_DIR/longhaul/proxy-HASH.sock, or STATE/proxy.sock: where it listens; HASH: of
//   STATE STATE/proxy.at              that path, for a command whose environment has another
//
// A home of its own (LONGHAUL_HOME) has its socket there, whatever XDG_RUNTIME_DIR says.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "lib/io/posix_files.hpp"
#include "proxy/app.hpp"

namespace longhaul::proxy {

struct DaemonPlace {
  std::string log, socket;  // the daemon's own
};
DaemonPlace daemon_place(const App& app);
Result<> note_socket(const App& app, const std::string& path);
std::vector<std::string> socket_paths(const App& app);  // where one may listen

// kBusy: a daemon runs. Waits a moment for one who only looks.
Result<std::unique_ptr<store::FileLock>> hold_daemon(const App& app);
enum class DaemonLock : std::uint8_t { kFree, kHeld };
// Takes the lock for a moment. An error: it cannot be told.
Result<DaemonLock> look_at_daemon(const App& app);
Result<std::unique_ptr<io::PosixFiles>> queue_folder(const App& app);
// The list of a site's runs as the daemon last kept it.
Result<std::unique_ptr<io::PosixFiles>> lists_folder(const App& app);
store::TreeName list_name(const std::string& site);

}  // namespace longhaul::proxy
