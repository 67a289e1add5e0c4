// The dry run of a push: what would cross the link, how long that would take, and what would be the
// limit. Reads the walk and a few MiB of content; sends nothing, changes nothing.
#pragma once

#include "proxy/app.hpp"
#include "proxy/sites.hpp"
#include "proxy/source_scan.hpp"

namespace longhaul::proxy {

struct DryRun {
  Site site;
  std::string dataset;
  BytesPerSecond limit;  // zero: none
  Duration walk{};       // what scanning the source took just now
};

io::Task<int> dry_run(App& app, DryRun what, const ScannedSource& scanned);

}  // namespace longhaul::proxy
