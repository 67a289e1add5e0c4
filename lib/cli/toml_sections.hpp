// A TOML file of sections with plain values, as our own small state files are: [section] key =
// "text".
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "lib/base/result.hpp"

namespace longhaul::cli {

using Sections = std::map<std::string, std::map<std::string, std::string>>;

// kMalformed with file, line and column; kMalformed too for anything but sections of texts, numbers
// and booleans.
Result<Sections> read_sections(std::string_view text, const std::string& file_name);
std::string write_sections(const Sections& sections);  // read_sections() gives the same back

}  // namespace longhaul::cli
