#include "streamer/doctor.hpp"

#include "lib/auth/ledger.hpp"
#include "lib/cli/exit_code.hpp"
#include "lib/cli/json_line.hpp"
#include "lib/doctor/folder.hpp"
#include "lib/doctor/machine.hpp"
#include "lib/doctor/private_file.hpp"
#include "lib/doctor/store_root.hpp"
#include "lib/io/asio_env.hpp"
#include "lib/io/file_system.hpp"
#include "streamer/running.hpp"

namespace longhaul::streamer {
namespace {

using longhaul::doctor::Finding;
namespace checks = longhaul::doctor;

Finding check_ledger(const Root& root) {
  const auto ledger = auth::load_ledger(*root.node);
  if (!ledger) {
    return checks::from_error(
        "peers", ledger.error(),
        "restore .longhaul/ledger from a backup, or remove it and pair again");
  }
  std::size_t revoked = 0;
  for (const auth::Peer& peer : ledger->peers.all()) revoked += peer.revoked ? 1U : 0U;
  const std::size_t all = ledger->peers.all().size();
  const std::string found =
      std::to_string(all) + " paired, " + std::to_string(revoked) + " revoked";
  if (all == revoked)
    return checks::warn("peers", found + ": nobody may come in",
                        "`longhaul-streamer invite` lets somebody pair");
  return checks::ok("peers", found);
}

Finding check_running(const Root& root) {
  const auto running = load_running(root);
  if (!is_held(root))
    return checks::warn("streamer", "none runs for this root",
                        "`longhaul-streamer start` starts one");
  if (!running)
    return checks::warn("streamer", "one runs, but does not say where", "start it anew");
  return checks::ok(
      "streamer", to_text(running->at) + " on " + running->host + ", version " + running->version);
}

// Looks only: open_root() would make what is missing.
std::vector<Finding> examine(const std::string& path) {
  io::AsioEnv env;
  std::vector<Finding> out = checks::examine(checks::read_facts("/proc", env.wall()));
  for (Finding& finding : checks::examine_folder(path, "store")) out.push_back(std::move(finding));
  out.push_back(checks::check_private_part(path));
  const auto root = look_at_root(path);
  if (!root) return out;  // the finding above says so
  out.push_back(
      checks::check_state({root->state_path, root->has_own_state(), root->state != nullptr,
                           io::shared_file_system_at(root->state_path)}));
  if (root->has_own_state() && root->state != nullptr) {
    for (Finding& finding : checks::examine_folder(root->state_path, "state"))
      out.push_back(std::move(finding));
  }
  out.push_back(checks::check_private_file(
      "identity", path + "/.longhaul/identity.pem",
      "`longhaul-streamer start` makes one; who had paired with the old one must pair again"));
  out.push_back(checks::check_stale_staging(path, env.wall()));
  out.push_back(check_ledger(*root));
  out.push_back(check_running(*root));
  return out;
}

}  // namespace

int doctor(cli::Console& console, const DaemonOptions& options) {
  const std::vector<Finding> findings = examine(options.root);
  for (const Finding& finding : findings) {
    if (options.json) {
      cli::JsonLine line;
      line.add("level", checks::name_of(finding.level)).add("check", finding.check);
      line.add("found", finding.found).add("fix", finding.fix);
      console.out(line.text() + "\n");
    } else {
      console.out(checks::to_text(finding));
    }
  }
  return checks::worst(findings) == checks::Level::kFail ? cli::kError : cli::kOk;
}

}  // namespace longhaul::streamer
