// What this node remembers of a dataset at a site, below state/datasets/SITE/DATASET: the tree both
// ends hold (`base`), and a mark while a push is under way (`unfinished`), so that one whose
// process was killed goes on where it was. And of a folder that a dataset was pulled into, below
// state/pulls/ID: the tree the last pull left there (`left`), and the one that is being placed
// (`coming`), so that what the user changed there is told from what is merely old.
#pragma once

#include <string>

#include "lib/transfer/folder_sink.hpp"
#include "lib/transfer/site_memory.hpp"
#include "proxy/app.hpp"

namespace longhaul::proxy {

transfer::SiteMemory load_memory(const App& app, const std::string& site,
                                 const std::string& dataset);
// Durable before the first byte leaves.
Result<> mark_unfinished(const App& app, const std::string& site, const std::string& dataset);
void keep_base(const App& app, const std::string& site, const std::string& dataset,
               const store::Tree& tree);

// A folder, by its path without links, that one dataset of one site is pulled into.
struct PullPlace {
  std::string folder, site, dataset;
};
// Sets pulled, begun and before_placing; what is not known stays empty.
void recall_pull(const App& app, const PullPlace& place, transfer::FolderOptions& options);
// The pull is done. Fails silently: the next one then takes old files for changed ones, and asks.
void keep_pull(const App& app, const PullPlace& place);

}  // namespace longhaul::proxy
