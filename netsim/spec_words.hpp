// Cutting a setting into words, and refusing one; for the .cpp files that read settings.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/result.hpp"

namespace netsim::words {

// Always at least one part; empty parts are kept, so that a reader refuses them.
std::vector<std::string_view> split(std::string_view text, char at);
// Words between runs of spaces; none for a blank line.
std::vector<std::string_view> split_words(std::string_view text);
// What follows `head`, if text begins with it.
std::optional<std::string_view> tail_of(std::string_view text, std::string_view head);
// "read WHAT 'TEXT': WHY", TEXT made printable and short.
tl::unexpected<longhaul::Error> refuse(std::string_view what, std::string_view text,
                                       std::string why);

}  // namespace netsim::words
