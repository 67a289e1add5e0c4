// What this node remembers of a dataset at a site, below state/datasets/SITE/DATASET: the tree both
// ends hold (`base`), and a mark while a push is under way (`unfinished`), so that one whose
// process was killed goes on where it was.
#pragma once

#include <string>

#include "lib/transfer/site_memory.hpp"
#include "proxy/app.hpp"

namespace longhaul::proxy {

transfer::SiteMemory load_memory(const App& app, const std::string& site,
                                 const std::string& dataset);
// Durable before the first byte leaves.
Result<> mark_unfinished(const App& app, const std::string& site, const std::string& dataset);
void keep_base(const App& app, const std::string& site, const std::string& dataset,
               const store::Tree& tree);

}  // namespace longhaul::proxy
