// netsim check: how accurate the emulator is on this machine, now.
#include <fmt/format.h>

#include <cstdio>
#include <memory>

#include <nlohmann/json.hpp>

#include "netsim/emulator/accuracy.hpp"
#include "netsim/emulator/supervisor.hpp"
#include "tools/netsim/commands.hpp"
#include "tools/netsim/say.hpp"

namespace netsim::tool {
namespace {

struct CheckOptions {
  bool json = false, user_namespace = false;
};

int check(const CheckOptions& options) {
  emulator::HostSettings host;
  host.user_namespace = options.user_namespace;
  const auto rows = emulator::check_accuracy(host);
  if (!rows) return give_up(rows.error());
  bool pass = true;
  auto list = nlohmann::ordered_json::array();
  for (const auto& row : *rows) {
    pass = pass && row.pass;
    list.push_back(
        {{"what", row.what}, {"bar", row.bar}, {"measured", row.measured}, {"pass", row.pass}});
    if (!options.json)
      std::printf("%-4s  %-28s  %-38s  %s\n", row.pass ? "ok" : "FAIL", row.what.c_str(),
                  row.measured.c_str(), row.bar.c_str());
  }
  if (options.json)
    std::printf("%s\n", nlohmann::ordered_json{{"pass", pass}, {"rows", list}}.dump().c_str());
  if (!pass && !options.json)
    std::printf("On a busy machine this may fail; every run of netsim judges itself.\n");
  return pass ? 0 : kOwnFailureExit;
}

}  // namespace

void add_check(CLI::App& app, Context& context) {
  auto options = std::make_shared<CheckOptions>();
  CLI::App* command =
      app.add_subcommand("check", "measure how accurate delay, rate and loss are on this machine");
  command->add_flag("--json", options->json, "one line of JSON");
  command->add_flag("--user-namespace", options->user_namespace, "work as without root");
  command->callback([options, &context] { context.run = [options] { return check(*options); }; });
}

}  // namespace netsim::tool
