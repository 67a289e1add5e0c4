// Kept: what the daemon that runs knows of a site, told at once; how old it is where the site is
// out of reach (docs/proxy.md). Without a daemon, or where it knows nothing, a command asks the
// site itself.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "lib/feed/viewer.hpp"
#include "proxy/daemon_client.hpp"
#include "proxy/run_watch.hpp"

namespace longhaul::proxy {

struct KeptRuns {
  std::vector<wire::RunLine> runs;
  SiteLink link;
  WallTime heard;
};
io::Task<std::optional<KeptRuns>> kept_runs(App& app, std::string site);

struct KeptRun {
  SiteLink link;
  feed::Heard last;  // so much there is; recorded 0: not known
  WallTime heard;
};
// Once all that was recorded is in the mirror, or at once if the site is out of reach.
io::Task<std::optional<KeptRun>> kept_run(App& app, RunPlace place);

// Says how old it is, if the site is out of reach.
void tell_age(App& app, const std::string& site, const SiteLink& link, WallTime heard);

}  // namespace longhaul::proxy
