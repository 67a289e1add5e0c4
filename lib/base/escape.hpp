// Text that came from a peer, a disk or a user, made fit for a terminal or a log: no control
// characters, no invalid UTF-8, no bidirectional overrides, bounded length.
#pragma once

#include <string>
#include <string_view>

namespace longhaul {

// Escapes as \n, \xHH or \u{HEX}; a backslash becomes \\. Longer than `max_bytes` ends in "..".
std::string printable(std::string_view raw, std::size_t max_bytes = 512);

}  // namespace longhaul
