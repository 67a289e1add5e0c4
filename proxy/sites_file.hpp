// The file of Sites, `config/sites.toml`: read at each command, replaced durably when it changes.
#pragma once

#include <functional>

#include "proxy/app.hpp"
#include "proxy/sites.hpp"

namespace longhaul::proxy {

Result<Sites> load_sites(const App& app);
Result<> change_sites(const App& app, const std::function<Result<>(Sites&)>& change);

}  // namespace longhaul::proxy
