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
  bool json = false, user_namespace = false, quick = false;
};

int check(const CheckOptions& options) {
  emulator::HostSettings host;
  host.user_namespace = options.user_namespace;
  bool pass = true;
  auto list = nlohmann::ordered_json::array();
  const auto on_row = [&](const emulator::AccuracyRow& row) {
    pass = pass && row.pass;
    list.push_back(
        {{"what", row.what}, {"bar", row.bar}, {"measured", row.measured}, {"pass", row.pass}});
    if (options.json) return;
    std::printf("%-4s  %-30s  %-42s  %s\n", row.pass ? "ok" : "FAIL", row.what.c_str(),
                row.measured.c_str(), row.bar.c_str());
    std::fflush(stdout);
  };
  const auto how = options.quick ? emulator::Thoroughness::kQuick : emulator::Thoroughness::kWhole;
  if (!options.quick && !options.json) say("takes 200 s; --quick leaves CUBIC out and takes 40");
  if (const auto done = emulator::check_accuracy(host, how, on_row); !done)
    return give_up(done.error());
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
  command->add_flag("--quick", options->quick, "without the two flows of CUBIC, 160 s");
  command->add_flag("--user-namespace", options->user_namespace, "work as without root");
  command->callback([options, &context] { context.run = [options] { return check(*options); }; });
}

}  // namespace netsim::tool
