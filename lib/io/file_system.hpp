// Which file systems have other machines that write to them: the kernel here does not see such
// changes, and locks, mmap and SQLite are not to be trusted there.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace longhaul::io {

// By statfs(2)'s f_type: "NFS", "Lustre", ..; nullopt: a local one, as far as we know.
std::optional<std::string> shared_file_system(std::uint32_t type);
// Of the file system that a path is on; nullopt also where it cannot be asked.
std::optional<std::string> shared_file_system_at(const std::string& path);

}  // namespace longhaul::io
