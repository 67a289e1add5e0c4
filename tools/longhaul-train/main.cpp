// longhaul-train: the trainer's commands. Flags are lists of fields in trainer/, so that a machine
// with GPUs needs no CLI library; what is done is in trainer/engine.
#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <memory>
#include <system_error>

#include "lib/cli/console.hpp"
#include "lib/cli/exit_code.hpp"
#include "lib/cli/explain.hpp"
#include "lib/cli/unhurried_console.hpp"
#include "tools/longhaul-train/version.hpp"
#include "trainer/engine/commands.hpp"
#ifdef LONGHAUL_HAS_CLIENT
#include "trainer/client/client_reporter.hpp"
#include "trainer/client/feed_source.hpp"
#endif

namespace {

using namespace longhaul;
using namespace longhaul::trainer;

constexpr const char* kProgram = "longhaul-train";
Control* signalled = nullptr;  // what the handlers below reach; set once, before they are installed

// Runs are watched and steered, and datasets read, through longhaul.h; a build that has nothing but
// LibTorch writes a file and reads folders.
Outside outside_of_this_build(cli::Console& console, Control& control) {
#ifdef LONGHAUL_HAS_CLIENT
  return {console, control, ClientReporter::begin, FeedSource::open};
#else
  return {console, control, FileReporter::begin, {}};
#endif
}

// libgomp and OpenBLAS read these when they are loaded, before main: with the defaults their
// threads spin while they wait, which made a step 5 to 12 times slower on a busy machine. So the
// program starts itself again, once, with them set; what the user has set stays.
void restart_with_environment(char** argv) {
  constexpr std::array<std::pair<const char*, const char*>, 2> kWanted = {
      {{"OMP_WAIT_POLICY", "PASSIVE"}, {"OPENBLAS_NUM_THREADS", "1"}}};
  if (std::getenv("LONGHAUL_TRAIN_STARTED") != nullptr) return;
  ::setenv("LONGHAUL_TRAIN_STARTED", "1", 1);
  for (const auto& [name, value] : kWanted) ::setenv(name, value, 0);
  ::execv("/proc/self/exe", argv);  // returns only if it failed: then it runs slower, no more
}

void on_signal(int) {
  signalled->post_stop_from_signal(time_now());
}

void install_signals(Control& control) {
  signalled = &control;
  struct sigaction action {};
  action.sa_handler = on_signal;
  action.sa_flags = static_cast<int>(SA_RESTART);
  for (const int number : {SIGTERM, SIGINT, SIGUSR1}) ::sigaction(number, &action, nullptr);
  ::signal(SIGPIPE, SIG_IGN);  // what nobody reads any more is not worth a run
}

void leave_signals() {
  for (const int number : {SIGTERM, SIGINT, SIGUSR1}) ::signal(number, SIG_DFL);
}

// A run's words, which hold it up nowhere; other commands' words are written as they are said. None
// where the system refuses threads, which a run needs more of: it says so then.
std::unique_ptr<cli::UnhurriedConsole> unhurried(cli::Console& console,
                                                 const std::vector<std::string>& arguments) {
  if (arguments.empty() || arguments.front() != "train") return nullptr;
  try {
    return std::make_unique<cli::UnhurriedConsole>(console);
  } catch (const std::system_error&) {
    return nullptr;
  }
}

std::string usage() {
  std::string out = "longhaul-train COMMAND [--flag value ..]\n\n";
  for (const CommandEntry& entry : commands())
    out += fmt::format("  {:<12} {}\n", entry.name, entry.summary);
  return out +
         "  version      print the version\n\nlonghaul-train COMMAND --help lists its flags.\n";
}

int fail_with(cli::Console& console, const Error& error) {
  console.err(cli::to_text(cli::explain(error), kProgram));
  return cli::exit_code_of(error.kind());
}

int run(cli::Console& console, Control& control, const std::vector<std::string>& arguments) {
  const std::string name = arguments.empty() ? "--help" : arguments.front();
  if (name == "--help" || name == "-h") {
    console.out(usage());
    return arguments.empty() ? cli::kUsageError : cli::kOk;
  }
  if (name == "version" || name == "--version") {
    console.out(fmt::format("{} {}\n", kProgram, LONGHAUL_TRAIN_VERSION));
    return cli::kOk;
  }
  for (const CommandEntry& entry : commands()) {
    if (entry.name != name) continue;
    install_signals(control);
    Outside outside = outside_of_this_build(console, control);
    const auto result = entry.run(outside, std::span(arguments).subspan(1));
    return result ? *result : fail_with(console, result.error());
  }
  return fail_with(
      console,
      Error(Kind::kUsage, "find the command " + name, "there is none such").advise("see --help"));
}

}  // namespace

int main(int argc, char** argv) {
  restart_with_environment(argv);
  try {
    // Never destroyed: a thread that hangs in a write to it is left behind at the end.
    static auto& console = *new cli::StandardConsole;
    const std::vector<std::string> arguments(argv + 1, argv + argc);
    Control control;
    const auto words = unhurried(console, arguments);
    cli::Console& to = words ? static_cast<cli::Console&>(*words) : console;
    const int code = run(to, control, arguments);
    leave_signals();  // who waits for the last words may be ended
    return code;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s: %s\n", kProgram, error.what());
    return cli::kError;
  }
}
