#include "tools/longhaul/proxy_commands.hpp"

#include <memory>

#include "proxy/commands.hpp"
#include "tools/longhaul/version.hpp"

namespace longhaul {

using proxy::App;

void add_proxy(CLI::App& root, Chosen& chosen) {
  CLI::App* command = root.add_subcommand(
      "proxy", "the daemon that keeps links and mirrors, and sends what was queued");
  command->require_subcommand(1);
  auto options = std::make_shared<proxy::ProxyOptions>();
  options->version = LONGHAUL_VERSION;
  CLI::App* run = add(*command, chosen, "run", "run it here, until Ctrl-C");
  run->add_option("--log", options->log, "a file for what it says; stderr if not given");
  run->callback([&chosen, options] {
    chosen.start = [options](App& app) { return proxy::proxy_run(app, *options); };
    chosen.serves_many = true;
  });
  add(*command, chosen, "start", "start it in the background; returns when it answers")
      ->callback([&chosen, options] {
        chosen.start = [options](App& app) { return proxy::proxy_start(app, *options); };
      });
  add(*command, chosen, "stop", "stop it; nothing is lost")->callback([&chosen] {
    chosen.start = [](App& app) { return proxy::proxy_stop(app); };
  });
  add(*command, chosen, "status", "its links, mirrors and queue")->callback([&chosen] {
    chosen.start = [](App& app) { return proxy::proxy_status(app); };
  });
  auto order = std::make_shared<proxy::WithdrawOptions>();
  CLI::App* withdraw = add(*command, chosen, "withdraw", "take back what was queued");
  withdraw->add_option("NUMBER", order->number, "as `proxy status` shows it")->required();
  withdraw->callback([&chosen, order] {
    chosen.start = [order](App& app) { return proxy::proxy_withdraw(app, *order); };
  });
}

}  // namespace longhaul
