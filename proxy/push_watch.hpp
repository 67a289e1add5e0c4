// `push --watch`: pushes, then pushes again whenever the folder has changed, until Ctrl-C. Each
// round that finds something new is a version of its own. A link or a site that is away is waited
// for; what no wait can mend ends it.
#pragma once

#include "proxy/push_round.hpp"

namespace longhaul::proxy {

// Whether a failed round is worth another try by itself. `pushed_before`: an earlier round of this
// command succeeded, so that what is missing or full now was not so from the start.
bool may_mend_itself(Kind kind, bool pushed_before);

io::Task<int> push_watch(App& app, PushTask task);

}  // namespace longhaul::proxy
