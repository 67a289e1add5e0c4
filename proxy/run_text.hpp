// How runs are put into words and JSON lines: the same everywhere.
#pragma once

#include <string>

#include "lib/base/units.hpp"
#include "lib/cli/json_line.hpp"
#include "lib/feed/run_model.hpp"

namespace longhaul::proxy {

std::string date_text(WallTime at);     // "2026-01-31 23:59", UTC
std::string number_text(double value);  // at most 8 characters where it can: "2.3451", "1.2e-05"
std::string_view name_of(run::EventKind kind);  // "applied", ..
std::string id_text(std::uint64_t id);          // 16 digits
cli::JsonLine event_line(const feed::Mark& mark);
std::string mark_text(const feed::Mark& mark);  // "lr=0.001 by ana"

}  // namespace longhaul::proxy
