// netsim run: a command behind a link.
#include <fmt/format.h>

#include <memory>
#include <optional>

#include "netsim/emulator/forward.hpp"
#include "netsim/emulator/link_name.hpp"
#include "netsim/emulator/supervisor.hpp"
#include "netsim/quantity.hpp"
#include "netsim/settings.hpp"
#include "tools/netsim/files.hpp"
#include "tools/netsim/link_options.hpp"
#include "tools/netsim/say.hpp"
#include "tools/netsim/side_command.hpp"

namespace netsim::tool {
namespace {

using emulator::Emulator;
using emulator::Supervisor;
using emulator::Warden;

struct RunOptions {
  LinkOptions link;
  std::string name, host, peer_command, json_path;
  std::vector<std::string> forwards, starts;
  bool quiet = false, allow_invalid = false, drop_capabilities = false;
};

constexpr Duration kStatsMost = std::chrono::seconds(5);

// The emulator's account of the run; the last thing that is asked of it.
std::optional<std::string> last_report(Emulator& emulator, Supervisor::Outcome& outcome) {
  std::string line;
  if (outcome.farewell) {
    line = *outcome.farewell;
  } else {
    if (!emulator.channel.send_line(to_json(ControlRequest(GetRequest{"stats"})))) return {};
    auto answer = emulator.channel.wait_line(kStatsMost, kLinkJsonMax);
    if (!answer) return {};
    line = *std::move(answer);
  }
  const auto reply = parse_reply(line);
  if (!reply || !reply->ok) return {};
  return reply->text;
}

int finish(const RunOptions& options, ReportFile& file, Emulator& emulator,
           Supervisor::Outcome outcome) {
  const auto report = last_report(emulator, outcome);
  emulator::kill_children({emulator.pid});
  emulator.channel.close();
  emulator::kill_children({});
  if (!options.name.empty()) emulator::forget(options.name);
  if (!report) {
    say("the emulator died: there is no account of this run");
    return kOwnFailureExit;
  }
  const Validity validity = say_report(*report, options.quiet);
  if (file.is_wanted())
    if (const auto written = file.write(*report); !written) {
      say(written.error().message());
      return kOwnFailureExit;
    }
  if (!outcome.exit_code) {
    say("the link went down before the command ended");
    return kOwnFailureExit;
  }
  if (validity == Validity::kInvalid && !options.allow_invalid) return kOwnFailureExit;
  return *outcome.exit_code;
}

Result<std::vector<std::uint16_t>> forwarded_ports(const RunOptions& options, std::size_t hosts) {
  std::vector<std::uint16_t> ports;
  for (const std::string& text : options.forwards)
    ports.push_back(static_cast<std::uint16_t>(TRY(parse_count(text, 1, 65'535))));
  if (!ports.empty() && hosts != 2)
    return longhaul::fail(longhaul::Kind::kUsage, "forward ports", "two hosts are expected");
  return ports;
}

Result<> forward(const RunOptions& options, const Emulator& emulator) {
  const auto ports = TRY(forwarded_ports(options, emulator.spaces.names.size()));
  if (!ports.empty()) TRY(emulator::start_forwarding(emulator, ports));
  return {};
}

// "HOST=CMD", and --peer-cmd for the other of two.
struct FarCommand {
  std::size_t host;
  std::string script;
};
Result<std::vector<FarCommand>> far_commands(const RunOptions& options,
                                             const emulator::Spaces& spaces) {
  std::vector<FarCommand> out;
  for (const std::string& text : options.starts) {
    const auto equals = text.find('=');
    if (equals == std::string::npos)
      return longhaul::fail(longhaul::Kind::kUsage, "read --start " + text, "HOST=CMD is expected");
    out.push_back({TRY(spaces.find(text.substr(0, equals))), text.substr(equals + 1)});
  }
  if (options.peer_command.empty()) return out;
  if (spaces.names.size() != 2)
    return longhaul::fail(longhaul::Kind::kUsage, "read --peer-cmd",
                          "with more than two hosts, --start HOST=CMD is expected");
  out.push_back({1, options.peer_command});
  return out;
}

void greet(const Emulator& emulator, std::uint64_t seed) {
  std::string others;
  for (emulator::AddressId id = 0; id < emulator.spaces.names.size(); ++id)
    others += fmt::format(" {} {},", emulator.spaces.names[id], emulator::address4(id));
  if (emulator.spaces.names.size() == 2)
    others = fmt::format(" other side {},", emulator::address4(1));
  say(fmt::format("{};{} seed {}", emulator.backend, others, seed));
}

int run(const RunOptions& options, const std::vector<std::string>& command) {
  auto read = options.link.read();
  if (!read) return give_up(read.error());
  read->name = options.name;
  if (!options.name.empty())
    if (const auto right = emulator::check_name(options.name); !right)
      return give_up(right.error());
  emulator::Spaces named;  // to find nonsense before anything is built
  named.names = read->topology.hosts;
  const auto host = named.find(options.host.empty() ? named.names[0] : options.host);
  if (!host) return give_up(host.error());
  const auto scripts = far_commands(options, named);
  if (!scripts) return give_up(scripts.error());
  if (const auto ports = forwarded_ports(options, named.names.size()); !ports)
    return give_up(ports.error());
  auto report = ReportFile::open(options.json_path);
  if (!report) return give_up(report.error());
  Supervisor supervisor;
  auto emulator = start_emulator(*read);
  if (!emulator) return give_up(emulator.error());
  if (!options.quiet) greet(*emulator, read->seed);
  if (const auto ready = forward(options, *emulator); !ready) return give_up(ready.error());
  const auto start = [&](std::size_t where, const std::vector<std::string>& argv) {
    auto to_run = on_host(where, argv, emulator->spaces, options.name);
    to_run.drop_capabilities = options.drop_capabilities;
    to_run.clamp_sockets = options.link.clamps_sockets();
    return Warden::start(to_run);
  };
  std::vector<std::unique_ptr<Warden>> far;
  std::vector<Warden*> others;
  for (const FarCommand& script : *scripts) {
    auto started = start(script.host, {"/bin/sh", "-c", script.script});
    if (!started) return give_up(started.error());
    others.push_back(far.emplace_back(std::make_unique<Warden>(*std::move(started))).get());
  }
  auto started = start(*host, command);
  if (!started) return give_up(started.error());
  return finish(options, *report, *emulator,
                supervisor.watch(&*started, others, emulator->channel));
}

}  // namespace

void add_run(CLI::App& app, Context& context) {
  auto options = std::make_shared<RunOptions>();
  CLI::App* run_command =
      app.add_subcommand("run", "run a command behind a link: netsim run [options] -- CMD");
  options->link.add_to(*run_command);
  run_command->add_option("--name", options->name, "so that `netsim ctl` and `exec` find the link");
  run_command->add_option("--peer-cmd", options->peer_command, "run this on the other side");
  run_command->add_option("--on", options->host, "the host that CMD runs on; default: the first");
  run_command->add_option("--start", options->starts, "also run CMD on HOST; may be repeated")
      ->type_name("HOST=CMD");
  run_command->add_option(
      "--forward", options->forwards,
      "TCP and UDP port of this machine to be reached at the other side's address");
  run_command->add_option("--json", options->json_path, "write the report to this file");
  run_command->add_flag("--quiet,-q", options->quiet, "say only what is wrong");
  run_command->add_flag("--allow-invalid", options->allow_invalid,
                        "only warn when packets left too late");
  run_command->add_flag("--drop-caps", options->drop_capabilities,
                        "run commands without capabilities");
  run_command->callback([options, &context] {
    context.run = [options, &context] { return run(*options, context.command); };
  });
}

}  // namespace netsim::tool
