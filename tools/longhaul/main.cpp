// longhaul: the researcher's command. Here is its command tree and the wiring; what commands do is
// in proxy/.
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <new>
#include <utility>

#include <CLI/CLI.hpp>

#include "lib/cli/exit_code.hpp"
#include "lib/cli/log_lines.hpp"
#include "lib/io/asio_env.hpp"
#include "lib/io/own_limits.hpp"
#include "proxy/commands.hpp"
#include "tools/about.hpp"
#include "tools/longhaul/chosen.hpp"
#include "tools/longhaul/ckpt_commands.hpp"
#include "tools/longhaul/completion.hpp"
#include "tools/longhaul/proxy_commands.hpp"
#include "tools/longhaul/settings.hpp"
#include "tools/longhaul/version.hpp"
#include "tools/mistyped.hpp"
#include "tools/no_empty_values.hpp"

namespace longhaul {
namespace {

using proxy::App;

void add_pairing(CLI::App& root, Chosen& chosen) {
  CLI::App* init = add(root, chosen, "init", "make this machine's identity");
  init->callback([&] { chosen.start = [](App& app) { return proxy::init(app); }; });

  CLI::App* join =
      add(root, chosen, "join", "pair with a site; the invite line is read from stdin, or --ssh");
  auto options = std::make_shared<proxy::JoinOptions>();
  auto by_ssh = std::make_shared<proxy::JoinBySshOptions>();
  by_ssh->version = LONGHAUL_VERSION;
  join->add_option("NAME", options->name, "what to call the site here")->required();
  CLI::Option* listen = join->add_option(
      "--listen", options->listen,
      "ADDRESS:PORT here, for a site that calls us: `longhaul-streamer run --dial` there");
  CLI::Option* ssh = join->add_option(
      "--ssh", by_ssh->host,
      "do all of it over ssh to HOST: put a streamer there if there is none, start "
      "it, fetch the invite, pair");
  ssh->excludes(listen);
  join->add_flag("--tunnel", by_ssh->tunnel, "and carry every connection through ssh from then on")
      ->needs(ssh);
  join->add_option("--root", by_ssh->root, "the streamer's folder there, from the home folder")
      ->needs(ssh)
      ->capture_default_str();
  join->add_option(
          "--state", by_ssh->state,
          "the streamer's --state there: a folder on a disk of that host, if its root is shared")
      ->needs(ssh);
  join->add_option("--role", by_ssh->role, "owner, observer or site")
      ->needs(ssh)
      ->capture_default_str();
  join->add_option("--streamer", by_ssh->streamer, "the program to put there, if not our own")
      ->needs(ssh);
  join->callback([&chosen, options, by_ssh] {
    if (!by_ssh->host.empty()) {
      by_ssh->name = options->name;
      chosen.start = [by_ssh](App& app) { return proxy::join_by_ssh(app, *by_ssh); };
      return;
    }
    std::getline(std::cin, options->invite_line);
    chosen.start = [options](App& app) { return proxy::join(app, *options); };
  });

  CLI::App* sites = add(root, chosen, "sites", "list the paired sites");
  auto listed = std::make_shared<proxy::SitesOptions>();
  sites->add_option("--forget", listed->forget, "remove this site from the list");
  sites->callback([&chosen, listed] {
    chosen.start = [listed](App& app) { return proxy::sites(app, *listed); };
  });
}

void add_doctor(CLI::App& root, Chosen& chosen) {
  CLI::App* command =
      add(root, chosen, "doctor", "what is wrong here and on the way to a site, and what mends it");
  auto options = std::make_shared<proxy::DoctorOptions>();
  command->add_option("SITE", options->site, "also the way to this site");
  command->callback([&chosen, options] {
    chosen.start = [options](App& app) { return proxy::doctor(app, *options); };
  });
}

void add_probe(CLI::App& root, Chosen& chosen) {
  CLI::App* command = add(root, chosen, "probe",
                          "what the link to a site is like: round trips, loss, capacity, buffers");
  auto options = std::make_shared<proxy::ProbeOptions>();
  command->add_option("SITE", options->site)->required();
  command->add_option("--budget", options->budget, "at most so many bytes, both ways, and so long")
      ->capture_default_str();
  command->add_option("--save-profile", options->save_profile,
                      "write the link as a netsim profile, NAME.json, to be replayed at home");
  command->add_option("--compare", options->compare,
                      "then move so much each way over UDP, and over TLS alone, beyond the budget");
  command->add_option("--nat", options->nat,
                      "then stay silent for so long, 10s to 10m, to see how long a NAT on the way\n"
                      "remembers a port");
  command->callback([&chosen, options] {
    chosen.start = [options](App& app) { return proxy::probe(app, *options); };
  });
}

void add_mode(CLI::App& command, std::string& mode) {
  command.add_option("--mode", mode,
                     "beside others on the link: fair takes as much as they, background gives\n"
                     "way, max does not (over UDP)");
}

void add_moving(CLI::App& root, Chosen& chosen) {
  CLI::App* push =
      add(root, chosen, "push", "send a folder or file to SITE:DATASET as a new version");
  auto pushed = std::make_shared<proxy::PushOptions>();
  push->add_option("SRC", pushed->source, "a folder or file")->required();
  push->add_option("DATASET", pushed->place, "SITE:NAME")->required();
  push->add_option("--exclude", pushed->excludes,
                   "leave out what matches this pattern (may repeat)");
  push->add_option("--exclude-from", pushed->exclude_from, "read such patterns from a file");
  push->add_option("--files-from", pushed->files_from, "send only the names listed in this file");
  push->add_option("--limit-rate", pushed->limit_rate, "at most this fast, e.g. 10MB/s or 100mbit");
  add_mode(*push, pushed->mode);
  push->add_option("--trace", pushed->trace, "record the session in this file; see `replay`");
  push->add_option("--telemetry", pushed->telemetry,
                   "write the session's state there, a JSON line ten times a second");
  CLI::Option* dry_run = push->add_flag("--dry-run", pushed->dry_run,
                                        "say what would be sent and how long it would take");
  push->add_flag("--watch", pushed->watch,
                 "go on: push again whenever SRC has changed, until Ctrl-C")
      ->excludes(dry_run);
  push->add_flag("--queue", pushed->queue,
                 "leave it with the proxy daemon, which pushes when the site can be reached")
      ->excludes(dry_run);
  push->callback([&chosen, pushed] {
    chosen.start = [pushed](App& app) { return proxy::push(app, *pushed); };
  });

  CLI::App* pull = add(root, chosen, "pull", "fetch SITE:DATASET[@VERSION] into a folder");
  auto pulled = std::make_shared<proxy::PullOptions>();
  pull->add_option("DATASET", pulled->place, "SITE:NAME or SITE:NAME@VERSION")->required();
  pull->add_option("DST", pulled->target, "a folder; made if missing")->required();
  pull->add_option("--limit-rate", pulled->limit_rate, "at most this fast");
  add_mode(*pull, pulled->mode);
  pull->add_option("--trace", pulled->trace, "record the session in this file; see `replay`");
  pull->add_option("--telemetry", pulled->telemetry,
                   "write the session's state there, a JSON line ten times a second");
  pull->add_flag("--delete", pulled->delete_extra,
                 "remove what the dataset does not have; what was\n"
                 "pulled and changed here since needs --force, too");
  pull->add_flag("--force", pulled->force, "replace files that were changed here");
  pull->callback([&chosen, pulled] {
    chosen.start = [pulled](App& app) { return proxy::pull(app, *pulled); };
  });
}

void add_keeping(CLI::App& root, Chosen& chosen) {
  CLI::App* list =
      add(root, chosen, "ls", "list datasets, versions or files: SITE[:DATASET[@VERSION]]");
  auto listed = std::make_shared<proxy::ListOptions>();
  list->add_option("PLACE", listed->place)->required();
  list->callback([&chosen, listed] {
    chosen.start = [listed](App& app) { return proxy::list(app, *listed); };
  });

  CLI::App* verify =
      add(root, chosen, "verify", "re-read every byte of SITE:DATASET[@VERSION] there");
  auto verified = std::make_shared<proxy::VerifyOptions>();
  verify->add_option("PLACE", verified->place)->required();
  verify->add_flag("--sha256sum", verified->sums,
                   "print each file's SHA-256 as sha256sum does; `sha256sum -c` checks it");
  verify->add_flag("--rebuild", verified->rebuild,
                   "first rebuild the site's index of chunks from its manifests; SITE alone does "
                   "only that");
  verify->callback([&chosen, verified] {
    chosen.start = [verified](App& app) { return proxy::verify(app, *verified); };
  });

  CLI::App* remove = add(root, chosen, "rm", "remove one version: SITE:DATASET@VERSION");
  auto removed = std::make_shared<proxy::RemoveOptions>();
  remove->add_option("PLACE", removed->place)->required();
  remove->callback([&chosen, removed] {
    chosen.start = [removed](App& app) { return proxy::remove(app, *removed); };
  });
}

void add_runs(CLI::App& root, Chosen& chosen) {
  CLI::App* runs =
      add(root, chosen, "runs", "list a site's runs: state, steps, last loss, what differs");
  auto listed = std::make_shared<proxy::RunsOptions>();
  runs->add_option("SITE", listed->site)->required();
  runs->callback([&chosen, listed] {
    chosen.start = [listed](App& app) { return proxy::runs(app, *listed); };
  });

  CLI::App* metrics = add(root, chosen, "metrics", "what a run recorded: SITE/RUN");
  auto shown = std::make_shared<proxy::MetricsOptions>();
  metrics->add_option("SITE/RUN", shown->place)->required();
  metrics->add_flag("-f,--follow", shown->follow,
                    "go on with what it records, newest first, through outages, until Ctrl-C");
  metrics->add_option("--series", shown->series,
                      "only these; '*' stands for anything (may repeat)");
  metrics->add_option("--since-step", shown->since_step, "only from this step on");
  metrics->add_option("--tensorboard", shown->tensorboard,
                      "write event files into this folder, in order, behind the complete history");
  metrics->callback([&chosen, shown] {
    chosen.start = [shown](App& app) { return proxy::metrics(app, *shown); };
  });
}

bool is_set(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr && *value != 0;
}

// What the environment says of the terminal: `TERM`, `NO_COLOR`, and the locale as setlocale(3)
// reads it.
void read_terminal(proxy::TopOptions& options) {
  const char* kind = std::getenv("TERM");
  options.dumb = kind == nullptr || std::string_view(kind) == "dumb";
  options.color = !is_set("NO_COLOR");
  for (const char* name : {"LC_ALL", "LC_CTYPE", "LANG"}) {
    if (!is_set(name)) continue;
    std::string locale = std::getenv(name);
    std::transform(locale.begin(), locale.end(), locale.begin(),
                   [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; });
    options.unicode =
        locale.find("UTF-8") != std::string::npos || locale.find("UTF8") != std::string::npos;
    return;
  }
  options.unicode = false;  // the C locale
}

void add_top(CLI::App& root, Chosen& chosen) {
  CLI::App* top = add(root, chosen, "top", "watch a run and the link to it on the terminal");
  auto options = std::make_shared<proxy::TopOptions>();
  read_terminal(*options);
  top->add_option("SITE/RUN", options->place)->required();
  CLI::Option* once =
      top->add_flag("--once", options->once, "print one view and end; with --json as an object");
  top->add_option("--columns", options->columns, "of --once")
      ->needs(once)
      ->check(CLI::Range(40, 1000))
      ->capture_default_str();
  top->add_option("--rows", options->rows, "of --once")
      ->needs(once)
      ->check(CLI::Range(10, 1000))
      ->capture_default_str();
  top->callback([&chosen, options] {
    chosen.start = [options](App& app) { return proxy::top(app, *options); };
  });
}

void add_logs(CLI::App& root, Chosen& chosen) {
  CLI::App* logs = add(root, chosen, "logs", "what a run's program printed: SITE/RUN");
  auto options = std::make_shared<proxy::LogsOptions>();
  logs->add_option("SITE/RUN", options->place)->required();
  logs->add_flag("-f,--follow", options->follow,
                 "go on with what it prints, through outages, until Ctrl-C");
  CLI::Option* from = logs->add_option("--from", options->from, "from this byte of it; 0: all");
  logs->add_option("--tail", options->tail, "only its last bytes, so many")
      ->excludes(from)
      ->capture_default_str();
  logs->add_flag("--raw", options->raw, "as it is, on a terminal too: colours, and whatever else");
  logs->callback([&chosen, options] {
    chosen.start = [options](App& app) { return proxy::logs(app, *options); };
  });
}

void add_ctl(CLI::App& root, Chosen& chosen) {
  CLI::App* ctl =
      add(root, chosen, "ctl", "steer a run, and hear the step at which it took effect");
  auto options = std::make_shared<proxy::CtlOptions>();
  ctl->add_option("SITE/RUN", options->place)->required();
  ctl->add_option("ACTION", options->action,
                  "set, pause, resume, checkpoint (write one now) or stop")
      ->required();
  ctl->add_option("SETTING", options->setting,
                  "for set: NAME=VALUE: lr=1e-3 pins it, lr*=0.5 scales the schedule");
  ctl->add_option("--expires", options->expires, "not carried out later than this from now")
      ->capture_default_str();
  ctl->add_flag("--queue", options->queue,
                "do not wait: the proxy daemon, or the next ctl, sends it");
  ctl->callback([&chosen, options] {
    chosen.start = [options](App& app) { return proxy::ctl(app, *options); };
  });
}

void add_replay(CLI::App& root, Chosen& chosen) {
  CLI::App* replay =
      add(root, chosen, "replay", "run a session recorded by --trace or LONGHAUL_TRACE again");
  auto options = std::make_shared<proxy::ReplayOptions>();
  replay->add_option("TRACE", options->trace, "its file")->required();
  replay->callback([&chosen, options] {
    chosen.start = [options](App& app) { return proxy::replay(app, *options); };
  });
}

std::optional<std::string> environment(const std::string& name) {
  const char* value = std::getenv(name.c_str());
  return value == nullptr ? std::nullopt : std::optional<std::string>(value);
}

io::Task<> run(Start start, App& app, int& code) {
  code = co_await start(app);
}

int start(const Chosen& chosen) {
  cli::StandardConsole console;
  const auto home = proxy::find_home(environment);
  cli::Config config(environment);
  const Result<> read = home ? read_files(config, *home) : Result<>();
  const Result<LogLevel> level = least_logged(config);
  cli::LogLines log(console, chosen.verbose ? LogLevel::kDebug : level ? *level : LogLevel::kWarn);
  io::AsioEnv env;
  App app{env, console, log, {}, std::move(config), chosen.json, {}};
  if (!home) return app.failed(home.error());
  if (!read) return app.failed(read.error());
  if (!level) return app.failed(level.error());
  app.home = *home;
  int code = cli::kError;
  env.run(run(chosen.start, app, code), [&app](int) { app.stop_asked(); });
  return code;
}

}  // namespace
}  // namespace longhaul

int main(int argc, char** argv) {
  using namespace longhaul;
  io::say_so_when_memory_ends();
  io::end_at_the_first_refused_allocation();
  CLI::App root{"longhaul: train where the power is, work where you are"};
  root.require_subcommand(1);
  Chosen chosen;
  root.add_flag("-v,--verbose", chosen.verbose, "say more on stderr");
  add_pairing(root, chosen);
  add_doctor(root, chosen);
  add_probe(root, chosen);
  add_moving(root, chosen);
  add_keeping(root, chosen);
  add_runs(root, chosen);
  add_top(root, chosen);
  add_logs(root, chosen);
  add_ctl(root, chosen);
  add_ckpt(root, chosen);
  add_proxy(root, chosen);
  add_replay(root, chosen);

  const About about(root, "longhaul", LONGHAUL_VERSION);
  CLI::App* completion =
      root.add_subcommand("completion", "print a completion script: bash, zsh or fish");
  std::string shell;
  completion->add_option("SHELL", shell)->required()->check(CLI::IsMember({"bash", "zsh", "fish"}));
  refuse_empty_values(root);
  io::keep_no_core_files();
  io::keep_few_arenas();
  try {
    root.parse(argc, argv);
    if (const std::optional<int> code = about.answer()) return *code;
    if (completion->parsed()) {
      std::cout << *completion_script(root, shell);
      return cli::kOk;
    }
    if (chosen.serves_many) io::go_on_after_a_refused_allocation();
    return start(chosen);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() != 0) {
      if (const auto mistyped = find_mistyped(root, {argv + 1, argv + argc})) {
        std::cerr << to_text(*mistyped, "longhaul");
        return cli::kUsageError;
      }
    }
    const int status = root.exit(error, std::cout, std::cerr);
    return status == 0 ? cli::kOk : cli::kUsageError;
  } catch (const std::bad_alloc&) {
    io::end_without_memory();
  } catch (const std::exception& error) {
    std::cerr << "longhaul: " << error.what() << "\n";
    return cli::kError;
  }
}
