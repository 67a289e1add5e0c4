// Own limits: what this process may use and leave behind, set once at its start.
#pragma once

#include <cstdint>

namespace longhaul::io {

// A core file would hold keys. Whoever needs one raises the limit again with prlimit(1).
void keep_no_core_files();
// As many descriptors as the system lets it have, at most 65,536; returns how many that is.
std::uint64_t raise_descriptor_limit();

}  // namespace longhaul::io
