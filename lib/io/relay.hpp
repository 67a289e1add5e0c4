// relay: copies between two streams, both ways, until both have ended or one has broken.
#pragma once

#include "lib/io/env.hpp"

namespace longhaul::io {

// Each side's end is passed on as the end of the other's input. Both are closed when it returns.
Task<> relay(Env& env, Stream& left, Stream& right);

}  // namespace longhaul::io
