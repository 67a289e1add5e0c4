// netsim relay: a TCP and UDP proxy behind a link, without privileges.
#include "netsim/relay/relay.hpp"

#include <fmt/format.h>
#include <sys/signalfd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <map>
#include <memory>
#include <random>

#include "netsim/emulator/link_name.hpp"
#include "netsim/quantity.hpp"
#include "tools/netsim/commands.hpp"
#include "tools/netsim/files.hpp"
#include "tools/netsim/say.hpp"

namespace netsim::tool {
namespace {

using relay::Relay;

struct RelayCommand {
  relay::RelayOptions relay;
  std::string profile, name, control, seed, json_path;
  std::map<std::string, std::string> settings;
  std::vector<std::string> events;
  bool tcp_only = false, udp_only = false, quiet = false, allow_invalid = false;
};

Result<relay::RelayOptions> read(const RelayCommand& command) {
  relay::RelayOptions out = command.relay;
  if (!command.profile.empty()) out.config.link = TRY(find_profile(command.profile)).link;
  std::vector<Assignment> assignments;
  for (const auto& [key, value] : command.settings)
    if (!value.empty()) assignments.push_back({key, value});
  out.config = TRY(with(out.config, assignments, trace_files()));
  for (const std::string& text : command.events)
    out.config.link.events.push_back(TRY(parse_event(text, trace_files())));
  std::stable_sort(out.config.link.events.begin(), out.config.link.events.end(),
                   [](const Event& a, const Event& b) { return a.at < b.at; });
  TRY(check(out.config.link));
  if (!command.control.empty()) out.control = command.control;
  if (!command.name.empty()) {
    if (out.control)
      return longhaul::fail(longhaul::Kind::kUsage, "read options", "--name and --control");
    out.control = "unix:" + TRY(emulator::free_path(command.name));
  }
  out.tcp = !command.udp_only;
  out.udp = !command.tcp_only;
  if (!out.tcp && !out.udp)
    return longhaul::fail(longhaul::Kind::kUsage, "read options", "--tcp-only and --udp-only");
  out.seed = std::random_device()();
  if (!command.seed.empty()) out.seed = TRY(parse_count(command.seed, 0, ~0ULL));
  return out;
}

Fd stop_signals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGTERM);
  sigprocmask(SIG_BLOCK, &set, nullptr);
  return Fd(signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC));
}

int run_relay(const RelayCommand& command) {
  const auto options = read(command);
  if (!options) return give_up(options.error());
  auto report = ReportFile::open(command.json_path);
  if (!report) return give_up(report.error());
  const Fd stop = stop_signals();
  auto relay = Relay::open(*options);
  if (!relay) return give_up(relay.error());
  if (!command.quiet) {
    say(fmt::format("relay on {} to {}, seed {}", relay::to_text((*relay)->listening_on()),
                    options->to, options->seed));
    say(relay::kWhatThisIs);
    if (!command.name.empty())
      say(fmt::format("netsim ctl {} set rtt=300ms | outage 30s | reset | stats | stop",
                      command.name));
  }
  if (const auto ran = (*relay)->run(stop); !ran) return give_up(ran.error());
  const std::string summary = (*relay)->summary();
  if (!report->is_wanted()) {
    std::printf("%s\n", summary.c_str());
  } else if (const auto written = report->write(summary); !written) {
    say(written.error().message());
    return kOwnFailureExit;
  }
  const auto why = (*relay)->invalid_because();
  if (!why) return 0;
  say("INVALID: " + *why);
  return command.allow_invalid ? 0 : kOwnFailureExit;
}

void add_settings(CLI::App& app, RelayCommand& command) {
  const auto add = [&](const KeyHelp& help, const char* group, bool ways) {
    const std::string key(help.key);
    app.add_option("--" + key, command.settings[key], std::string(help.meaning))
        ->type_name(std::string(help.form))
        ->group(group);
    if (!ways) return;
    for (const char* way : {"up.", "down."})
      app.add_option("--" + (way + key), command.settings[way + key])->group("");
  };
  for (const KeyHelp& help : key_help())
    add(help, "Link (--up.KEY, --down.KEY: one direction)", help.key != "rtt");
  for (const KeyHelp& help : relay::relay_key_help())
    add(help, "Streams", help.key != "window" && help.key != "congestion");
}

}  // namespace

void add_relay(CLI::App& app, Context& context) {
  auto options = std::make_shared<RelayCommand>();
  CLI::App* command = app.add_subcommand(
      "relay", fmt::format("a TCP and UDP proxy behind a link, without privileges.\nNote: {}",
                           relay::kWhatThisIs));
  command->add_option("--listen", options->relay.listen, "HOST:PORT; port 0: any")->required();
  command->add_option("--to", options->relay.to, "HOST:PORT of the server")->required();
  command->add_option("--profile", options->profile, "a named link, or a profile's file");
  add_settings(*command, *options);
  command->add_option("--event", options->events, "e.g. \"at 60s every 1h outage 2s\"");
  command->add_option("--name", options->name, "so that `netsim ctl` finds it");
  command->add_option("--control", options->control, "unix:PATH or 127.0.0.1:PORT for JSON lines");
  command->add_option("--seed", options->seed, "of all randomness; default: drawn, and reported");
  command->add_option("--json", options->json_path, "write the summary here, not to stdout");
  command->add_flag("--tcp-only", options->tcp_only, "no UDP");
  command->add_flag("--udp-only", options->udp_only, "no TCP");
  command->add_flag("--quiet,-q", options->quiet, "say only what is wrong");
  command->add_flag("--allow-invalid", options->allow_invalid,
                    "only warn when bytes left too late");
  command->callback(
      [options, &context] { context.run = [options] { return run_relay(*options); }; });
}

}  // namespace netsim::tool
