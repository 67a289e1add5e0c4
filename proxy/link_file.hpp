// What was learned of the link to a site, in state/links/SITE@NETWORK (network.hpp), or links/SITE
// where this machine has no default route: a hint for the next session. Losing it costs a second of
// searching, so every failure here is silent.
#pragma once

#include <string>

#include "lib/session/link_memory.hpp"
#include "proxy/app.hpp"

namespace longhaul::proxy {

session::LinkMemory load_link(const App& app, const std::string& site, const std::string& network);
void save_link(const App& app, const std::string& site, const std::string& network,
               const session::LinkMemory& learned);

std::string link_text(const session::LinkMemory& learned);
session::LinkMemory link_in(
    std::string_view text);  // empty where the text is not as link_text() wrote it

}  // namespace longhaul::proxy
