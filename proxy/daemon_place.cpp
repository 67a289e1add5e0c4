#include "proxy/daemon_place.hpp"

#include "lib/crypto/digest.hpp"
#include "proxy/files.hpp"

namespace longhaul::proxy {

namespace {
constexpr std::size_t kSocketPathMax = 4096;
constexpr int kLockTries = 10;
constexpr Duration kLockPause = 50ms;
const store::TreeName kLockName = store::TreeName::known("proxy.lock");
const store::TreeName kSocketNote = store::TreeName::known("proxy.at");
}  // namespace

DaemonPlace daemon_place(const App& app) {
  DaemonPlace place;
  place.log = app.home.state + "/proxy.log";
  place.socket = app.home.state + "/proxy.sock";
  if (!app.home.runtime.empty())
    place.socket = app.home.runtime + "/proxy-" +
                   crypto::sha256(bytes_of(app.home.state)).hex().substr(0, 12) + ".sock";
  return place;
}

Result<> note_socket(const App& app, const std::string& path) {
  const auto state = TRY(private_folder(app.home.state));
  return store::write_whole(*state, kSocketNote, bytes_of(path), 0600);
}

std::vector<std::string> socket_paths(const App& app) {
  std::vector<std::string> paths{daemon_place(app).socket};
  const auto state = io::PosixFiles::at(app.home.state);
  if (!state) return paths;
  const auto noted = store::read_whole(**state, kSocketNote, kSocketPathMax);
  if (noted && text_of(*noted) != paths.front()) paths.emplace_back(text_of(*noted));
  return paths;
}

Result<std::unique_ptr<store::FileLock>> hold_daemon(const App& app) {
  const auto state = TRY(private_folder(app.home.state));
  auto held = state->lock_here(kLockName);
  for (int i = 0; !held && held.error().kind() == Kind::kBusy && i < kLockTries; ++i) {
    state->pause(kLockPause);
    held = state->lock_here(kLockName);
  }
  if (!held && held.error().kind() == Kind::kBusy) {
    return fail(Error(Kind::kBusy, "run the proxy daemon", "one runs already")
                    .advise("`longhaul proxy status` shows it, `longhaul proxy stop` ends it"));
  }
  return held;
}

Result<DaemonLock> look_at_daemon(const App& app) {
  const auto state = TRY(private_folder(app.home.state));
  const auto held = state->lock_here(kLockName);
  if (held) return DaemonLock::kFree;
  if (held.error().kind() == Kind::kBusy) return DaemonLock::kHeld;
  return fail(held.error());
}

Result<std::unique_ptr<io::PosixFiles>> queue_folder(const App& app) {
  return private_folder(app.home.state + "/queue");
}

Result<std::unique_ptr<io::PosixFiles>> lists_folder(const App& app) {
  return private_folder(app.home.state + "/proxy");
}

store::TreeName list_name(const std::string& site) {
  const auto name = store::TreeName::parse(site + ".runs");
  ASSERT(name.has_value());  // a site's name has been judged
  return *name;
}

}  // namespace longhaul::proxy
