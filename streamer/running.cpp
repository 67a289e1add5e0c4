#include "streamer/running.hpp"

#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <csignal>

#include "lib/base/escape.hpp"
#include "lib/cli/toml_sections.hpp"

namespace longhaul::streamer {
namespace {

constexpr std::size_t kRunningBytesMax = 4096;
constexpr int kHoldTries = 5;  // somebody who only looks holds the lock for a moment
constexpr Duration kHoldPause = 50ms;

store::TreeName running_name() {
  return store::TreeName::known("running.toml");
}
store::TreeName lock_name() {
  return store::TreeName::known("running.lock");
}

// nullptr where the file system has no locks.
Result<std::unique_ptr<store::FileLock>> lock_if_possible(io::PosixFiles& files) {
  auto held = files.lock_here(lock_name());
  if (!held && held.error().kind() == Kind::kUnsupported) return std::unique_ptr<store::FileLock>();
  return held;
}

Result<std::unique_ptr<store::FileLock>> try_hold(io::PosixFiles& files) {
  for (int tries = 1;; ++tries) {
    auto held = lock_if_possible(files);
    if (held || held.error().kind() != Kind::kBusy || tries == kHoldTries) return held;
    files.pause(kHoldPause);
  }
}

Error in_use(const Root& root) {
  return Error(Kind::kBusy, "use " + printable(root.path) + " as its root",
               "another longhaul-streamer runs there")
      .advise("stop it first, or give another --root");
}

// Without a lock that everybody sees, running.toml is all there is.
Result<> check_others(const Root& root) {
  const auto running = load_running(root);
  if (!running || running->ended) return {};
  const bool here = running->host == host_name();
  const bool lives = ::kill(static_cast<pid_t>(running->pid), 0) == 0 || errno == EPERM;
  if (here && !lives) return {};
  const std::string where = here ? "process " + std::to_string(running->pid)
                                 : "the streamer of " + printable(running->host);
  return fail(Error(Kind::kBusy, "use " + printable(root.path) + " as its root",
                    "its file system has no locks, and " + where +
                        (here ? " serves it" : " did not end as it should"))
                  .advise("stop it there; if it cannot be running any more, remove "
                          ".longhaul/running.toml in the root"));
}

}  // namespace

std::string to_text(const Running& running) {
  cli::Sections sections;
  sections["streamer"] = {
      {"address", to_text(running.at)},     {"host", running.host},
      {"pid", std::to_string(running.pid)}, {"version", running.version},
      {"gateway", running.gateway},         {"ended", running.ended ? "yes" : "no"}};
  return cli::write_sections(sections);
}

Result<Running> parse_running(std::string_view text) {
  const auto sections = TRY(cli::read_sections(text, "running.toml"));
  const auto found = sections.find("streamer");
  const auto broken = [] { return fail(Kind::kMalformed, "read running.toml"); };
  if (found == sections.end()) return broken();
  const auto& values = found->second;
  for (const char* key : {"address", "host", "pid", "version"})
    if (!values.contains(key)) return broken();
  Running out{TRY(io::parse_endpoint(values.at("address"))),
              values.at("host"),
              0,
              values.at("version"),
              {},
              false};
  if (const auto gateway = values.find("gateway"); gateway != values.end())
    out.gateway = gateway->second;
  const std::string& pid = values.at("pid");
  const auto [end, status] = std::from_chars(pid.data(), pid.data() + pid.size(), out.pid);
  if (status != std::errc{} || end != pid.data() + pid.size() || out.pid <= 0) return broken();
  const auto ended = values.find("ended");  // older ones do not say
  out.ended = ended != values.end() && ended->second == "yes";
  return out;
}

Result<Hold> hold_root(const Root& root) {
  Hold hold;
  auto held = try_hold(*root.node);
  if (!held && held.error().kind() == Kind::kBusy) return fail(in_use(root));
  hold.root = TRY(std::move(held));
  if (hold.root == nullptr && !root.has_own_state()) {
    return fail(Error(Kind::kUnsupported, "lock " + printable(root.path),
                      "its file system has no locks: two streamers could share it unseen")
                    .advise("give --state DIR, on a disk of this host; or mount it with locks"));
  }
  if (!root.has_own_state()) return hold;
  held = try_hold(*root.state);
  if (!held && held.error().kind() == Kind::kBusy) return fail(in_use(root));
  hold.state = TRY(std::move(held));
  if (hold.root != nullptr) return hold;
  if (hold.state == nullptr) {
    return fail(Error(Kind::kUnsupported, "lock the state folder " + printable(root.state_path),
                      "its file system has no locks either")
                    .advise("give --state DIR, on a disk of this host"));
  }
  TRY(check_others(root));
  return hold;
}

bool is_held(const Root& root) {
  const auto busy = [](io::PosixFiles& files) {
    const auto held = files.lock_here(lock_name());
    return !held && held.error().kind() == Kind::kBusy;
  };
  return busy(*root.node) || (root.has_own_state() && root.state && busy(*root.state));
}

Result<> save_running(const Root& root, const Running& running) {
  return store::write_whole(*root.node, running_name(), bytes_of(to_text(running)), 0600);
}

std::optional<Running> load_running(const Root& root) {
  const auto text = store::read_whole(*root.node, running_name(), kRunningBytesMax);
  if (!text) return std::nullopt;
  auto running = parse_running(text_of(*text));
  if (!running) return std::nullopt;
  return *std::move(running);
}

std::string host_name() {
  std::array<char, 256> name{};
  if (::gethostname(name.data(), name.size() - 1) != 0 || name[0] == '\0') return "site";
  return name.data();
}

io::Endpoint near(const io::Endpoint& listening) {
  if (listening.host == "0.0.0.0") return {"127.0.0.1", listening.port};
  if (listening.host == "::") return {"::1", listening.port};
  return listening;
}

}  // namespace longhaul::streamer
