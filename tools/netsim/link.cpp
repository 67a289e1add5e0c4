// netsim link: two hosts and the ocean between them, until Ctrl-C or `netsim ctl NAME down`.
#include <fmt/format.h>
#include <sys/wait.h>

#include <memory>

#include "netsim/emulator/addresses.hpp"
#include "netsim/emulator/link_name.hpp"
#include "netsim/emulator/supervisor.hpp"
#include "netsim/settings.hpp"
#include "tools/netsim/link_options.hpp"
#include "tools/netsim/say.hpp"

namespace netsim::tool {
namespace {

using emulator::Supervisor;

struct LinkCommand {
  LinkOptions link;
  std::string name;
  bool detach = false, quiet = false;
};

constexpr Duration kStatsMost = std::chrono::seconds(5);

int wait_for_the_end(const LinkCommand& options, Supervisor& supervisor,
                     emulator::Emulator& emulator) {
  auto outcome = supervisor.watch(nullptr, {}, emulator.channel);
  if (outcome.interrupted && emulator.channel.send_line(to_json(ControlRequest(DoRequest{"down"}))))
    if (auto line = emulator.channel.wait_line(kStatsMost, kLinkJsonMax))
      outcome.farewell = *std::move(line);
  emulator.channel.close();
  ::waitpid(emulator.pid, nullptr, 0);
  emulator::forget(options.name);
  const auto reply = outcome.farewell ? parse_reply(*outcome.farewell) : ControlReply{};
  if (!reply || !reply->ok) {
    say("the emulator died");
    return kOwnFailureExit;
  }
  const auto validity = say_report(reply->text, options.quiet);
  return validity == Validity::kValid ? 0 : kOwnFailureExit;
}

int link(const LinkCommand& options) {
  if (const auto right = emulator::check_name(options.name); !right) return give_up(right.error());
  auto read = options.link.read();
  if (!read) return give_up(read.error());
  read->name = options.name;
  read->outlives_us = options.detach;
  std::optional<Supervisor> supervisor;
  if (!options.detach) supervisor.emplace();
  auto emulator = start_emulator(*read);
  if (!emulator) return give_up(emulator.error());
  if (!options.quiet) {
    say(fmt::format("link {} is up: {}, seed {}", options.name, emulator->backend, read->seed));
    for (emulator::AddressId id = 0; id < emulator->spaces.names.size(); ++id)
      say(fmt::format("netsim exec {} {} -- CMD   {}", options.name, emulator->spaces.names[id],
                      emulator::address4(id)));
    say(fmt::format("netsim ctl {} set rtt=300ms | outage 30s | move a | stats | down",
                    options.name));
  }
  return options.detach ? 0 : wait_for_the_end(options, *supervisor, *emulator);
}

}  // namespace

void add_link(CLI::App& app, Context& context) {
  auto options = std::make_shared<LinkCommand>();
  CLI::App* command =
      app.add_subcommand("link", "two hosts joined by a link, for commands by hand on either side");
  options->link.add_to(*command);
  command->add_option("--name", options->name, "how `netsim exec` and `ctl` find it")->required();
  command->add_flag("--detach", options->detach,
                    "stay in the background, until `netsim ctl NAME down`");
  command->add_flag("--quiet,-q", options->quiet, "say only what is wrong");
  command->callback([options, &context] { context.run = [options] { return link(*options); }; });
}

}  // namespace netsim::tool
