// netsim profiles: the built-in links as a table, or one in full.
#include <cstdio>
#include <memory>

#include "tools/netsim/commands.hpp"
#include "tools/netsim/files.hpp"
#include "tools/netsim/say.hpp"

namespace netsim::tool {
namespace {

struct ProfilesOptions {
  std::string name;
  bool json = false;
};

int profiles(const ProfilesOptions& options) {
  if (options.name.empty()) {
    std::fputs(((options.json ? profile_list_json() + "\n" : profile_table())).c_str(), stdout);
    return 0;
  }
  const auto profile = find_profile(options.name);
  if (!profile) return give_up(profile.error());
  std::fputs((options.json ? to_json(*profile) + "\n" : describe(*profile)).c_str(), stdout);
  return 0;
}

}  // namespace

void add_profiles(CLI::App& app, Context& context) {
  auto options = std::make_shared<ProfilesOptions>();
  CLI::App* command = app.add_subcommand("profiles", "list the named links, or show one");
  command->add_option("name", options->name, "of a profile, or a profile's file");
  command->add_flag("--json", options->json, "as JSON; of one: the file to start your own from");
  command->callback(
      [options, &context] { context.run = [options] { return profiles(*options); }; });
}

}  // namespace netsim::tool
