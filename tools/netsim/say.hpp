// What netsim says to people: one line on stderr, and the exit code that goes with an error.
#pragma once

#include <string>
#include <string_view>

#include "lib/base/error.hpp"

namespace netsim::tool {

void say(std::string_view line);            // "netsim: LINE"
int give_up(const longhaul::Error& error);  // says it, with advice; its exit code
// The last lines of a run: how late packets were, what was lost, and whether to believe it.
// `report`: report.hpp's JSON. `quiet`: only what is wrong. Returns whether the run is valid.
enum class Validity : bool { kInvalid, kValid };
Validity say_report(const std::string& report, bool quiet);

}  // namespace netsim::tool
