// longhaul-streamer: the site's daemon and the commands of its operator. Here is the command tree;
// the rest is streamer/.
#include <iostream>

#include <CLI/CLI.hpp>

#include "lib/cli/exit_code.hpp"
#include "lib/cli/log_lines.hpp"
#include "streamer/commands.hpp"
#include "tools/longhaul/version.hpp"

int main(int argc, char** argv) {
  using namespace longhaul;
  CLI::App root{"longhaul-streamer: the end of longhaul beside the GPUs"};
  root.require_subcommand(1);
  streamer::RunOptions run;
  streamer::InviteOptions invite;
  streamer::PeersOptions peers;

  CLI::App* run_command = root.add_subcommand("run", "serve this root until stopped");
  run_command->add_option("--root", run.root, "the folder that holds everything; made if missing")
      ->required();
  run_command->add_option("--listen", run.listen, "ADDRESS:PORT to listen on")
      ->capture_default_str();
  run_command->add_flag("--json", run.json, "say on stdout when it listens");

  CLI::App* invite_command =
      root.add_subcommand("invite", "print a line that lets one node pair, once");
  invite_command->add_option("--root", invite.root, "as given to run")->required();
  invite_command->add_option("--role", invite.role, "owner, observer or site")
      ->capture_default_str();
  invite_command->add_option("--address", invite.address,
                             "HOST:PORT at which the node can reach this one");
  invite_command->add_flag("--json", invite.json, "one JSON object on stdout");

  CLI::App* peers_command = root.add_subcommand("peers", "who is paired with this node");
  peers_command->require_subcommand(1);
  CLI::App* list = peers_command->add_subcommand("ls", "list them");
  list->add_option("--root", peers.root, "as given to run")->required();
  list->add_flag("--json", peers.json, "a JSON object a line");
  CLI::App* revoke = peers_command->add_subcommand("revoke", "let one in no more");
  revoke->add_option("--root", peers.root, "as given to run")->required();
  revoke->add_option("PEER", peers.revoke, "its name, or 8 or more digits of its key")->required();

  CLI::App* version = root.add_subcommand("version", "print the version");
  try {
    root.parse(argc, argv);
    cli::StandardConsole console;
    cli::LogLines log(console, LogLevel::kInfo);
    if (version->parsed()) {
      console.out("longhaul-streamer " LONGHAUL_VERSION "\n");
      return cli::kOk;
    }
    if (run_command->parsed()) return streamer::run(console, log, run);
    if (invite_command->parsed()) return streamer::invite(console, invite);
    return streamer::peers(console, peers);
  } catch (const CLI::ParseError& error) {
    const int status = root.exit(error, std::cout, std::cerr);
    return status == 0 ? cli::kOk : cli::kUsageError;
  } catch (const std::exception& error) {
    std::cerr << "longhaul-streamer: " << error.what() << "\n";
    return cli::kError;
  }
}
