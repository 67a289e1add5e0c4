#include "proxy/home.hpp"

namespace longhaul::proxy {

Result<HomePaths> find_home(
    const std::function<std::optional<std::string>(const std::string&)>& environment) {
  const auto folder = [&](const std::string& name) {
    const auto value = environment(name);
    // XDG says: a relative path there is to be ignored.
    return value && value->starts_with('/') ? value : std::nullopt;
  };
  if (const auto own = folder("LONGHAUL_HOME")) return HomePaths{*own + "/config", *own + "/state"};
  const auto home = folder("HOME");
  auto config = folder("XDG_CONFIG_HOME");
  auto state = folder("XDG_STATE_HOME");
  if (!home && (!config || !state)) {
    return fail(Error(Kind::kUsage, "find this user's folders", "HOME is not set")
                    .advise("set HOME, or LONGHAUL_HOME to a folder of your choice"));
  }
  if (!config) config = *home + "/.config";
  if (!state) state = *home + "/.local/state";
  const auto runtime = folder("XDG_RUNTIME_DIR");
  return HomePaths{*config + "/longhaul", *state + "/longhaul",
                   runtime ? *runtime + "/longhaul" : std::string()};
}

}  // namespace longhaul::proxy
