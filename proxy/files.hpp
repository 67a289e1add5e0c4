// Folders of this machine as Files: made if missing.
#pragma once

#include <memory>
#include <string>

#include "lib/io/posix_files.hpp"

namespace longhaul::proxy {

// Where a path's own name stands: "." of a name alone.
std::string parent_of(const std::string& path);
// Makes the folder and those above it; durable.
Result<std::unique_ptr<io::PosixFiles>> made_folder(const std::string& folder, std::uint32_t mode);
// The same for this user alone (0700).
Result<std::unique_ptr<io::PosixFiles>> private_folder(const std::string& folder);
Result<std::string> real_path(const std::string& folder);

}  // namespace longhaul::proxy
