// Which files and folders this process has made durable: fsync, fdatasync and syncfs of the program
// that this is linked into are noted, then done. A test asks what power loss would leave.
//
//   sync_calls::forget();
//   finish(path);
//   EXPECT_TRUE(sync_calls::has_content(path));  // as it is now
//   EXPECT_TRUE(sync_calls::has_name(path));
//
// Any thread.
#pragma once

#include <string>

namespace longhaul::sync_calls {

void forget();
// The file's bytes were synced when it was as long as it is now.
bool has_content(const std::string& path);
// .. and before it had this name: nobody sees it half.
bool had_content_before_its_name(const std::string& path);
// Its folder was synced when this name stood for this file or folder.
bool has_name(const std::string& path);
// All of the file system was synced by way of this folder.
bool has_all_of(const std::string& folder);

}  // namespace longhaul::sync_calls
