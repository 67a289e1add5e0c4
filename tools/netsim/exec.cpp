// netsim exec: a command on one side of a link that is already there.
#include <memory>

#include "netsim/emulator/link_name.hpp"
#include "netsim/emulator/supervisor.hpp"
#include "netsim/settings.hpp"
#include "tools/netsim/commands.hpp"
#include "tools/netsim/say.hpp"
#include "tools/netsim/side_command.hpp"

namespace netsim::tool {
namespace {

using emulator::Channel;
using emulator::Supervisor;
using emulator::Warden;

struct ExecOptions {
  std::string name, side;
  bool drop_capabilities = false, clamp_sockets = false;
};

constexpr Duration kAnswerMost = std::chrono::seconds(5);

Result<std::vector<emulator::Fd>> ask_for_hosts(Channel& link) {
  TRY(link.send_line(to_json(ControlRequest(GetRequest{"hosts"}))));
  const auto line = TRY(link.wait_line(kAnswerMost, kLinkJsonMax));
  const auto reply = TRY(parse_reply(line));
  auto hosts = link.take_fds();
  if (!reply.ok || hosts.size() < 2)
    return longhaul::fail(longhaul::Kind::kMalformed, "ask the link for its hosts", reply.text);
  return hosts;
}

int exec(const ExecOptions& options, const std::vector<std::string>& command) {
  if (options.side != "a" && options.side != "b") {
    say("which side? a (the laptop) or b (the site) is expected");
    return kUsageExit;
  }
  auto link = emulator::connect_to(options.name);
  if (!link) return give_up(link.error());
  const auto hosts = ask_for_hosts(*link);
  if (!hosts) return give_up(hosts.error());
  Supervisor supervisor;
  auto to_run = on_side(options.side == "a" ? 0 : 1, command, *hosts, options.name);
  to_run.drop_capabilities = options.drop_capabilities;
  to_run.clamp_sockets = options.clamp_sockets;
  auto started = Warden::start(to_run);
  if (!started) return give_up(started.error());
  const auto outcome = supervisor.watch(&*started, {}, *link);
  emulator::kill_children({});
  if (outcome.exit_code) return *outcome.exit_code;
  say("link " + options.name + " went down before the command ended");
  return kOwnFailureExit;
}

}  // namespace

void add_exec(CLI::App& app, Context& context) {
  auto options = std::make_shared<ExecOptions>();
  CLI::App* command = app.add_subcommand(
      "exec", "run a command on one side of a link: netsim exec NAME a|b -- CMD");
  command->add_option("name", options->name, "of `netsim link --name`")->required();
  command->add_option("side", options->side, "a (the laptop) or b (the site)")->required();
  command->add_flag("--drop-caps", options->drop_capabilities, "run it without capabilities");
  command->add_flag("--clamp-sockets", options->clamp_sockets,
                    "socket buffers of at most 212,992 bytes, as `--host untuned` of run has");
  command->callback([options, &context] {
    context.run = [options, &context] { return exec(*options, context.command); };
  });
}

}  // namespace netsim::tool
