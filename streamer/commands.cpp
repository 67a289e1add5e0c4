#include "streamer/commands.hpp"

#include <fcntl.h>
#include <fmt/chrono.h>
#include <unistd.h>

#include <algorithm>
#include <ctime>

#include "lib/auth/ledger.hpp"
#include "lib/auth/node.hpp"
#include "lib/base/escape.hpp"
#include "lib/cli/exit_code.hpp"
#include "lib/cli/explain.hpp"
#include "lib/cli/json_line.hpp"
#include "lib/io/own_limits.hpp"
#include "streamer/gateway.hpp"
#include "streamer/root.hpp"
#include "streamer/running.hpp"
#include "streamer/server.hpp"

namespace longhaul::streamer {
namespace {

int failed(cli::Console& console, const Error& error) {
  console.err(cli::to_text(cli::explain(error), "longhaul-streamer"));
  return cli::exit_code_of(error.kind());
}

std::string date_of(WallTime time) {
  const std::time_t seconds = time.ns / 1'000'000'000;
  return fmt::format("{:%Y-%m-%d %H:%M}", fmt::gmtime(seconds));
}

io::Task<> serve(Server& server, Result<>& result) {
  result = co_await server.run();
}

// This host's name with the port at which its streamer listens, or listened last.
std::string guessed_address(const Root& root) {
  const auto running = load_running(root);
  const std::uint16_t port =
      running && running->at.port != 0 ? running->at.port : std::uint16_t{7700};
  return host_name() + ":" + std::to_string(port);
}

Result<auth::InviteLine> issue(const InviteOptions& options) {
  const auto role = auth::role_named(options.role);
  if (!role) {
    return fail(Error(Kind::kUsage, "invite a '" + printable(options.role, 40) + "'",
                      "there is no such role")
                    .advise("roles are owner, observer and site"));
  }
  const Root root = TRY(open_root(options.root));
  const std::string address = options.address.empty() ? guessed_address(root) : options.address;
  TRY(io::parse_endpoint(address));
  const auto made = TRY(auth::make_identity(*root.node));
  io::AsioEnv env;
  auth::OpenInvite open;
  env.entropy(open.secret);
  open.role = *role;
  const WallTime now = env.wall();
  open.expires = {now.ns + auth::kInviteLife.count()};
  TRY(auth::change_ledger(*root.node,
                          [&](auth::Ledger& ledger) { return ledger.invites.add(open, now); }));
  auth::InviteLine line;
  line.address = address;
  const auto pin = made.identity.pin().bytes();
  std::copy(pin.begin(), pin.end(), line.pin.begin());
  line.secret = open.secret;
  return line;
}

// `at` with port 0: it only dials.
void say_ready(cli::Console& console, const RunOptions& options, const io::Endpoint& at,
               const std::string& pin) {
  if (!options.json) {
    for (const std::string& to : options.dial) console.err("dialling " + printable(to) + "\n");
    if (at.port != 0) console.err("listening on " + io::to_text(at) + "\n");
    return;
  }
  cli::JsonLine line;
  line.add("event", at.port != 0 ? "listening" : "dialling")
      .add("address", io::to_text(at))
      .add("pin", pin);
  console.out(line.text() + "\n");
  if (!options.lets_stdout_go) return;
  const int nothing = ::open("/dev/null", O_WRONLY | O_CLOEXEC);
  if (nothing >= 0) {
    ::dup2(nothing, STDOUT_FILENO);
    ::close(nothing);
  } else {
    ::dup2(STDERR_FILENO, STDOUT_FILENO);  // a chroot without /dev: the log
  }
}

Result<> addresses_of(const RunOptions& options, ServerOptions& out) {
  for (const std::string& to : options.dial) out.dial.push_back(TRY(io::parse_endpoint(to)));
  std::string listen = options.listen;
  if (listen.empty() && options.dial.empty()) listen = kDefaultListen;
  if (listen.empty()) return {};
  const io::Endpoint at = TRY(io::parse_endpoint(listen));
  out.listen.push_back(at);
  if (options.any_port) out.listen.push_back({at.host, 0});
  return {};
}

}  // namespace

int run(cli::Console& console, Log& log, const RunOptions& options) {
  ServerOptions server_options;
  const auto addresses = addresses_of(options, server_options);
  if (!addresses) return failed(console, addresses.error());
  const auto root = open_root_with_state(options.root, options.state);
  if (!root) return failed(console, root.error());
  const auto held = hold_root(*root);
  if (!held) return failed(console, held.error());
  if (const auto kept = remember_state(*root); !kept) return failed(console, kept.error());
  const auto datasets = open_datasets(*root);
  if (!datasets) return failed(console, datasets.error());
  if (const auto& rebuilt = (*datasets)->rebuilt; rebuilt && rebuilt->versions > 0) {
    LOG(log, kInfo, "the index of chunks was lost; it is rebuilt from {} versions",
        rebuilt->versions);
  }
  const auto made = auth::make_identity(*root->node);
  if (!made) return failed(console, made.error());
  std::unique_ptr<gateway::GatewayServer> gateway;
  if (!options.gateway.empty()) {
    auto opened = open_gateway(*root, options.gateway);
    if (!opened) return failed(console, opened.error());
    gateway = *std::move(opened);
    LOG(log, kInfo, "readers find the gateway at {}", printable(gateway->at()));
  }
  io::AsioEnv env;
  Running running;
  server_options.name = host_name();
  // Strangers get a quarter of the descriptors at most: the rest is for sessions and files.
  auth::AdmissionLimits& strangers = server_options.strangers;
  const auto quarter = static_cast<std::size_t>(io::raise_descriptor_limit() / 4);
  strangers.connections_max = std::clamp<std::size_t>(quarter, 1, strangers.connections_max);
  server_options.on_ready = [&](const io::Endpoint& at) {
    running = {
        at,   host_name(), ::getpid(), options.version, gateway ? gateway->at() : std::string(),
        false};
    if (const auto saved = save_running(*root, running); !saved)
      LOG(log, kWarn, "{}", saved.error().message());
    say_ready(console, options, at, made->identity.pin().hex());
  };
  Server server(env, log, *root, *datasets, made->identity, server_options);
  Result<> result;
  env.run(serve(server, result), [&server](int) { server.stop(); });
  if (running.pid != 0) {
    running.ended = true;
    static_cast<void>(save_running(*root, running));  // else other hosts ask before they start one
  }
  if (!result) return failed(console, result.error());
  return cli::kOk;
}

int invite(cli::Console& console, const InviteOptions& options) {
  const auto line = issue(options);
  if (!line) return failed(console, line.error());
  if (options.json) {
    cli::JsonLine out;
    out.add("invite", auth::to_text(*line)).add("role", options.role).add("minutes", 10);
    console.out(out.text() + "\n");
  } else {
    console.out(auth::to_text(*line) + "\n");
    console.err("good once, for ten minutes: give it to `longhaul join NAME` on stdin\n");
  }
  return cli::kOk;
}

int peers(cli::Console& console, const PeersOptions& options) {
  const auto root = open_root(options.root);
  if (!root) return failed(console, root.error());
  if (!options.revoke.empty()) {
    io::AsioEnv env;
    auth::Peer gone;
    const WallTime now = env.wall();
    const auto changed = auth::change_ledger(*root->node, [&](auth::Ledger& ledger) -> Result<> {
      gone = TRY(ledger.peers.revoke(options.revoke, now));
      return {};
    });
    if (!changed) return failed(console, changed.error());
    if (options.json) {
      cli::JsonLine out;
      out.add("name", gone.name).add("pin", to_hex(gone.pin)).add("revoked", true);
      console.out(out.text() + "\n");
    } else {
      console.err(gone.name + " is revoked; its sessions end within a minute\n");
    }
    return cli::kOk;
  }
  const auto ledger = auth::load_ledger(*root->node);
  if (!ledger) return failed(console, ledger.error());
  for (const auth::Peer& peer : ledger->peers.all()) {
    const std::string pin = to_hex(peer.pin);
    if (options.json) {
      cli::JsonLine out;
      out.add("name", peer.name).add("role", auth::name_of(peer.role)).add("pin", pin);
      out.add("paired", date_of(peer.paired)).add("revoked", peer.revoked.has_value());
      console.out(out.text() + "\n");
    } else {
      console.out(fmt::format("{:<20} {:<9} {}  {}{}\n", peer.name, auth::name_of(peer.role),
                              pin.substr(0, 16), date_of(peer.paired),
                              peer.revoked ? "  revoked" : ""));
    }
  }
  return cli::kOk;
}

}  // namespace longhaul::streamer
