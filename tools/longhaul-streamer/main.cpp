// longhaul-streamer: the site's daemon and the commands of its operator. Here is the command tree;
// the rest is streamer/.
#include <functional>
#include <iostream>
#include <memory>
#include <new>

#include <CLI/CLI.hpp>

#include "lib/cli/exit_code.hpp"
#include "lib/cli/log_lines.hpp"
#include "lib/io/own_limits.hpp"
#include "streamer/commands.hpp"
#include "streamer/daemon.hpp"
#include "streamer/doctor.hpp"
#include "streamer/drain.hpp"
#include "streamer/gateway.hpp"
#include "streamer/verify.hpp"
#include "tools/about.hpp"
#include "tools/longhaul/version.hpp"
#include "tools/mistyped.hpp"
#include "tools/no_empty_values.hpp"

namespace {

using namespace longhaul;

struct Chosen {
  std::function<int(cli::Console&, Log&)> start;
};

void add_root(CLI::App* command, std::string& root) {
  command->add_option("--root", root, "the folder that holds everything; made if missing")
      ->required();
}

void add_state(CLI::App* command, std::string& state) {
  command->add_option(
      "--state", state,
      "a folder on a disk of this host for the index and locks, where ROOT is on NFS "
      "or Lustre; remembered, and may be lost: it is made again");
}

constexpr const char* kGatewayHelp =
    "tcp://ADDRESS:PORT or ipc:///PATH at which training programs read datasets without seeing "
    "the root; `gateway pass` lets one in";

void add_serving(CLI::App& root, Chosen& chosen) {
  CLI::App* run = root.add_subcommand("run", "serve this root until stopped");
  auto options = std::make_shared<streamer::RunOptions>();
  options->version = LONGHAUL_VERSION;
  add_root(run, options->root);
  add_state(run, options->state);
  run->add_option("--listen", options->listen,
                  "ADDRESS:PORT to listen on; 0.0.0.0:7700 unless --dial is given");
  run->add_option("--dial", options->dial,
                  "HOST:PORT of a laptop to keep connections open to (may repeat): for a site that "
                  "takes none; there, `longhaul join NAME --listen`");
  run->add_option("--gateway", options->gateway, kGatewayHelp);
  run->add_flag("--json", options->json, "say on stdout when it is ready");
  run->callback([&chosen, options] {
    chosen.start = [options](auto& console, Log& log) {
      return streamer::run(console, log, *options);
    };
  });

  CLI::App* start = root.add_subcommand(
      "start", "serve this root in the background; does nothing if that runs already");
  auto started = std::make_shared<streamer::StartOptions>();
  started->version = LONGHAUL_VERSION;
  add_root(start, started->root);
  add_state(start, started->state);
  start->add_option("--listen", started->listen,
                    "ADDRESS:PORT; else where it listened last, else port 7700, else any");
  start->add_option("--dial", started->dial, "as for run");
  start->add_option("--gateway", started->gateway, "as for run; else where it was last");
  start->add_flag("--json", started->json, "one JSON object on stdout");
  start->callback([&chosen, started] {
    chosen.start = [started](auto& console, Log& log) {
      return streamer::start(console, log, *started);
    };
  });
}

using Daemon = int (*)(cli::Console&, const streamer::DaemonOptions&);

void add_daemon(CLI::App& root, Chosen& chosen, const char* name, const char* about, Daemon call) {
  CLI::App* command = root.add_subcommand(name, about);
  auto options = std::make_shared<streamer::DaemonOptions>();
  add_root(command, options->root);
  command->add_flag("--json", options->json, "one JSON object on stdout");
  command->callback([&chosen, options, call] {
    chosen.start = [options, call](auto& console, Log&) { return call(console, *options); };
  });
}

void add_carry(CLI::App& root, Chosen& chosen) {
  CLI::App* carry =
      root.add_subcommand("carry",
                          "one connection to this root's streamer over stdin and stdout; "
                          "`longhaul join --ssh --tunnel` uses it");
  auto options = std::make_shared<streamer::DaemonOptions>();
  options->version = LONGHAUL_VERSION;
  add_root(carry, options->root);
  carry->callback([&chosen, options] {
    chosen.start = [options](auto& console, Log& log) {
      return streamer::carry(console, log, *options);
    };
  });
}

void add_invite(CLI::App& root, Chosen& chosen) {
  CLI::App* invite = root.add_subcommand("invite", "print a line that lets one node pair, once");
  auto options = std::make_shared<streamer::InviteOptions>();
  add_root(invite, options->root);
  invite->add_option("--role", options->role, "owner, observer or site")->capture_default_str();
  invite->add_option("--address", options->address,
                     "HOST:PORT at which the node can reach this one; else this host's name and "
                     "the port its streamer listens on");
  invite->add_flag("--json", options->json, "one JSON object on stdout");
  invite->callback([&chosen, options] {
    chosen.start = [options](auto& console, Log&) { return streamer::invite(console, *options); };
  });
}

void add_verify(CLI::App& root, Chosen& chosen) {
  CLI::App* verify = root.add_subcommand(
      "verify", "re-read every byte of NAME[@VERSION] here, while no streamer runs on the root");
  auto options = std::make_shared<streamer::VerifyOptions>();
  add_root(verify, options->root);
  verify->add_option("DATASET", options->dataset, "NAME or NAME@VERSION; the newest unless named");
  verify->add_flag("--sha256sum", options->sums,
                   "print each file's SHA-256 as sha256sum does; `sha256sum -c` checks it");
  verify->add_flag("--rebuild", options->rebuild,
                   "first rebuild the index of chunks from the manifests");
  verify->add_flag("--json", options->json, "a JSON object a line");
  verify->callback([&chosen, options] {
    chosen.start = [options](auto& console, Log&) { return streamer::verify(console, *options); };
  });
}

void add_drain(CLI::App& root, Chosen& chosen) {
  CLI::App* drain = root.add_subcommand("drain",
                                        "on the host where a training program was killed: bring "
                                        "what it left in memory into its run's "
                                        "log; for the end of a job");
  auto options = std::make_shared<streamer::DrainOptions>();
  drain->add_option("RUN", options->runs,
                    "folders of runs; without, all that this user's programs left on this host");
  drain->add_option("--shared", options->shared,
                    "folder on tmpfs where it logged; else $LONGHAUL_SHM, else /dev/shm");
  drain
      ->add_option("--wait", options->wait,
                   "how long for processes that the dead one started to end, at most")
      ->capture_default_str();
  drain->add_flag("--json", options->json, "a JSON object a line");
  drain->callback([&chosen, options] {
    chosen.start = [options](auto& console, Log&) { return streamer::drain(console, *options); };
  });
}

void add_peers(CLI::App& root, Chosen& chosen) {
  CLI::App* peers = root.add_subcommand("peers", "who is paired with this node");
  peers->require_subcommand(1);
  auto options = std::make_shared<streamer::PeersOptions>();
  CLI::App* list = peers->add_subcommand("ls", "list them");
  add_root(list, options->root);
  list->add_flag("--json", options->json, "a JSON object a line");
  CLI::App* revoke = peers->add_subcommand("revoke", "let one in no more");
  add_root(revoke, options->root);
  revoke->add_option("PEER", options->revoke, "its name, or 8 or more digits of its key")
      ->required();
  revoke->add_flag("--json", options->json, "one JSON object on stdout");
  peers->callback([&chosen, options] {
    chosen.start = [options](auto& console, Log&) { return streamer::peers(console, *options); };
  });
}

void add_gateway(CLI::App& root, Chosen& chosen) {
  CLI::App* gateway =
      root.add_subcommand("gateway", "passes for runs that read datasets through `run --gateway`");
  gateway->require_subcommand(1);
  using Call = int (*)(cli::Console&, const streamer::GatewayOptions&);
  const auto add = [&](const char* name, const char* about, Call call) {
    CLI::App* command = gateway->add_subcommand(name, about);
    auto options = std::make_shared<streamer::GatewayOptions>();
    add_root(command, options->root);
    command->add_flag("--json", options->json, "a JSON object a line");
    command->callback([&chosen, options, call] {
      chosen.start = [options, call](auto& console, Log&) { return call(console, *options); };
    });
    return std::pair(command, options);
  };
  const auto [pass, made] =
      add("pass", "make the pass of RUN, and print its file", streamer::gateway_pass);
  pass->add_option("RUN", made->run, "a name for it")->required();
  pass->add_option(
      "--at", made->at,
      "the gateway as the run's hosts reach it; else where it is, by this host's name");
  add("ls", "list the passes", streamer::gateway_list);
  const auto [revoke, revoked] = add("revoke", "let RUN read no more", streamer::gateway_revoke);
  revoke->add_option("RUN", revoked->run, "as `gateway ls` names it")->required();
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App root{"longhaul-streamer: the end of longhaul beside the GPUs"};
  root.require_subcommand(1);
  Chosen chosen;
  add_serving(root, chosen);
  add_daemon(root, chosen, "stop", "stop the one in the background; transfers can be resumed",
             streamer::stop);
  add_daemon(root, chosen, "status", "whether one runs, and where it listens", streamer::status);
  add_daemon(root, chosen, "doctor", "what is wrong with this host and root, and what mends it",
             streamer::doctor);
  add_invite(root, chosen);
  add_verify(root, chosen);
  add_drain(root, chosen);
  add_peers(root, chosen);
  add_gateway(root, chosen);
  add_carry(root, chosen);
  const About about(root, "longhaul-streamer", LONGHAUL_VERSION);
  refuse_empty_values(root);
  io::keep_no_core_files();
  io::keep_few_arenas();
  io::say_so_when_memory_ends();
  try {
    root.parse(argc, argv);
    if (const std::optional<int> code = about.answer()) return *code;
    cli::StandardConsole console;
    cli::LogLines log(console, LogLevel::kInfo);
    return chosen.start(console, log);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() != 0) {
      if (const auto mistyped = find_mistyped(root, {argv + 1, argv + argc})) {
        std::cerr << to_text(*mistyped, "longhaul-streamer");
        return cli::kUsageError;
      }
    }
    const int status = root.exit(error, std::cout, std::cerr);
    return status == 0 ? cli::kOk : cli::kUsageError;
  } catch (const std::bad_alloc&) {
    io::end_without_memory();
  } catch (const std::exception& error) {
    std::cerr << "longhaul-streamer: " << error.what() << "\n";
    return cli::kError;
  }
}
