// A line of sha256sum, so that `sha256sum -c` checks what we printed: two spaces, the name's bytes
// as they are; a name with a backslash, a newline or a carriage return is escaped as coreutils does
// it, which a backslash before the digest tells.
#pragma once

#include <string>
#include <string_view>

namespace longhaul::cli {

std::string sum_line(std::string_view hex, std::string_view name);  // ends in a newline

}  // namespace longhaul::cli
