// netsim: an honest ocean on one machine. The tree of subcommands and nothing else.
#include <cstdio>
#include <exception>

#include "tools/mistyped.hpp"
#include "tools/netsim/commands.hpp"

int main(int argc, char** argv) {
  using namespace netsim::tool;
  Context context;
  std::vector<std::string> words;  // what is ours; CLI11 wants them last first
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    if (!context.has_command && word == "--")
      context.has_command = true;
    else
      (context.has_command ? context.command : words).push_back(word);
  }
  CLI::App app("An honest ocean on one machine: real programs over a simulated link.", "netsim");
  app.require_subcommand(1);
  app.set_version_flag("--version", "netsim 0.1.0");
  add_run(app, context);
  add_link(app, context);
  add_exec(app, context);
  add_ctl(app, context);
  add_profiles(app, context);
  add_relay(app, context);
  add_check(app, context);
  try {
    std::vector<std::string> last_first(words.rbegin(), words.rend());
    app.parse(last_first);
  } catch (const CLI::Success& success) {  // --help, --version
    return app.exit(success);
  } catch (const CLI::ParseError& error) {
    if (const auto mistyped = longhaul::find_mistyped(app, words)) {
      std::fputs(longhaul::to_text(*mistyped, "netsim").c_str(), stderr);
      return kUsageExit;
    }
    std::fprintf(stderr, "netsim: %s; see netsim --help\n", error.what());
    return kUsageExit;
  }
  try {
    return context.run ? context.run() : kUsageExit;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "netsim: %s\n", error.what());
    return kOwnFailureExit;
  }
}
