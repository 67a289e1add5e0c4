// netsim exec: a command on one side of a link that is already there.
#include <memory>

#include <nlohmann/json.hpp>

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

Result<emulator::Spaces> ask_for_hosts(Channel& link) {
  TRY(link.send_line(to_json(ControlRequest(GetRequest{"hosts"}))));
  const auto line = TRY(link.wait_line(kAnswerMost, kLinkJsonMax));
  const auto reply = TRY(parse_reply(line));
  const auto refuse = [](const std::string& why) {
    return longhaul::fail(longhaul::Kind::kMalformed, "ask the link for its hosts", why);
  };
  if (!reply.ok) return refuse(reply.text);
  const auto list = nlohmann::json::parse(reply.text, nullptr, false);
  std::vector<std::string> names;
  if (list.is_array())
    for (const auto& name : list)
      if (name.is_string()) names.push_back(name.get<std::string>());
  auto out = emulator::Spaces::of(std::move(names), link.take_fds());
  if (out.hosts.size() < 2 || out.hosts.size() != out.names.size())
    return refuse("it has none that can be entered; is it a relay?");
  return out;
}

int exec(const ExecOptions& options, const std::vector<std::string>& command) {
  auto link = emulator::connect_to(options.name);
  if (!link) return give_up(link.error());
  const auto spaces = ask_for_hosts(*link);
  if (!spaces) return give_up(spaces.error());
  const auto host = spaces->find(options.side);
  if (!host) return give_up(host.error());
  Supervisor supervisor;
  auto to_run = on_host(*host, command, *spaces, options.name);
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
  CLI::App* command =
      app.add_subcommand("exec", "run a command on a host of a link: netsim exec NAME HOST -- CMD");
  command->add_option("name", options->name, "of `netsim link --name`")->required();
  command
      ->add_option("side", options->side,
                   "a host: a (the laptop) or b (the site), or as a topology names them")
      ->required();
  command->add_flag("--drop-caps", options->drop_capabilities, "run it without capabilities");
  command->add_flag("--clamp-sockets", options->clamp_sockets,
                    "socket buffers of at most 212,992 bytes, as `--host untuned` of run has");
  command->callback([options, &context] {
    context.run = [options, &context] { return exec(*options, context.command); };
  });
}

}  // namespace netsim::tool
