// The folders of Home as Files: made if missing, for this user alone.
#pragma once

#include <memory>
#include <string>

#include "lib/io/posix_files.hpp"

namespace longhaul::proxy {

// Makes the folder (0700) and those above it.
Result<std::unique_ptr<io::PosixFiles>> private_folder(const std::string& folder);

}  // namespace longhaul::proxy
