// Home: where the researcher's side keeps what it knows, below two folders:
//
//   config/  identity.pem (0600), sites.toml           made by `longhaul init`, worth a backup
//   state/   links/, rates/, scans/, datasets/, pulls/                      learned; losing it
//   costs time only
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "lib/base/result.hpp"

namespace longhaul::proxy {

struct HomePaths {
  std::string config, state;
  // For sockets: $XDG_RUNTIME_DIR/longhaul; empty where there is none, or with LONGHAUL_HOME.
  std::string runtime = {};
};

// $LONGHAUL_HOME/{config,state} if set, else the XDG folders, else ~/.config/longhaul and
// ~/.local/state/longhaul. kUsage when not even HOME is known.
Result<HomePaths> find_home(
    const std::function<std::optional<std::string>(const std::string&)>& environment);

}  // namespace longhaul::proxy
