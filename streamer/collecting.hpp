// Collecting: what pushes that nobody went on with left in the store goes, at the start and every
// few hours. The work runs on the pool; ends when cancelled.
#pragma once

#include "lib/base/log.hpp"
#include "lib/io/env.hpp"
#include "streamer/datasets.hpp"

namespace longhaul::streamer {

io::Task<> collect_abandoned(io::Env& env, Log& log, std::shared_ptr<Datasets> datasets);

}  // namespace longhaul::streamer
