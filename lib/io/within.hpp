// within: a task under a deadline. Fit for tasks that are themselves cancelled: nothing is left
// behind.
#pragma once

#include "lib/io/env.hpp"

namespace longhaul::io {

// The task's result; kTimeout, after cancelling it, when `until` comes first.
Task<Result<>> within(Env& env, Time until, Task<Result<>> task);

}  // namespace longhaul::io
