// What PosixFiles hands out: an open file, a listing under way, a lock. Not for others.
#pragma once

#include <sys/stat.h>

#include <atomic>

#include "lib/io/beneath.hpp"
#include "lib/store/files.hpp"

namespace longhaul::io {

store::FileStat stat_of(const struct stat& raw);

// `sync_failed` is the owner's flag and outlives the file; a failed sync() sets it.
std::unique_ptr<store::File> make_posix_file(Fd fd, store::TreeName name,
                                             std::atomic<bool>& sync_failed);
// Takes a descriptor opened O_RDONLY | O_DIRECTORY.
Result<std::unique_ptr<store::Folder>> make_posix_folder(Fd fd, const store::TreeName& name);
Result<std::unique_ptr<store::FileLock>> make_posix_lock(Fd fd, const store::TreeName& name);

}  // namespace longhaul::io
