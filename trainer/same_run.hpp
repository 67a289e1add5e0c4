// Whether a checkpoint is gone on with as it was made. Its settings say what is trained and by
// which rules, its environment what the bits depend on beside them. Some settings must be the same,
// or the optimizer's state and the counters mean something else; the others may be changed on
// purpose, and are named with both values. What an older version did not record is no difference.
// Pure.
#pragma once

#include <map>
#include <string>

#include "trainer/posix_file.hpp"

namespace longhaul::trainer {

using Facts = std::map<std::string, std::string>;

// kUsage names the first setting that must be as in the checkpoint `folder` and is not.
Result<> check_same_run(const Facts& before, const Facts& now, const Path& folder);
// The others: "rate (0.02, now 0.0001), kappa (2, now 1)"; empty: they are the same.
std::string changed_settings(const Facts& before, const Facts& now);
// "build, threads, libgomp.so.1": also what only one of the two has.
std::string changed_environment(const Facts& before, const Facts& now);

}  // namespace longhaul::trainer
