#include "streamer/running.hpp"

#include <unistd.h>

#include <array>
#include <charconv>

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

}  // namespace

std::string to_text(const Running& running) {
  cli::Sections sections;
  sections["streamer"] = {{"address", to_text(running.at)},
                          {"host", running.host},
                          {"pid", std::to_string(running.pid)},
                          {"version", running.version}};
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
  Running out{TRY(io::parse_endpoint(values.at("address"))), values.at("host"), 0,
              values.at("version")};
  const std::string& pid = values.at("pid");
  const auto [end, status] = std::from_chars(pid.data(), pid.data() + pid.size(), out.pid);
  if (status != std::errc{} || end != pid.data() + pid.size() || out.pid <= 0) return broken();
  return out;
}

Result<std::unique_ptr<store::FileLock>> hold_root(const Root& root) {
  for (int tries = 1;; ++tries) {
    auto held = root.node->lock(lock_name());
    if (held || held.error().kind() != Kind::kBusy) return held;
    if (tries == kHoldTries) break;
    root.node->pause(kHoldPause);
  }
  return fail(Error(Kind::kBusy, "use " + printable(root.path) + " as its root",
                    "another longhaul-streamer runs there")
                  .advise("stop it first, or give another --root"));
}

bool is_held(const Root& root) {
  const auto held = root.node->lock(lock_name());
  return !held && held.error().kind() == Kind::kBusy;
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
