#include "lib/doctor/store_root.hpp"

#include <dirent.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <memory>

#include "lib/base/escape.hpp"
#include "lib/store/staging.hpp"

namespace longhaul::doctor {
namespace {

constexpr std::int64_t kStaleSeconds = 7 * 86'400;

using Folder = std::unique_ptr<DIR, int (*)(DIR*)>;

Folder opened(const std::string& path) {
  return {::opendir(path.c_str()), &::closedir};
}

// Seconds since the epoch at which the newest entry right below it changed.
std::int64_t touched(const std::string& folder) {
  struct ::stat status {};
  std::int64_t newest = ::stat(folder.c_str(), &status) == 0 ? status.st_mtim.tv_sec : 0;
  const Folder inside = opened(folder);
  if (!inside) return newest;
  while (const ::dirent* entry = ::readdir(inside.get())) {
    const std::string name = entry->d_name;
    if (name == "..") continue;
    if (::lstat((folder + "/" + name).c_str(), &status) == 0)
      newest = std::max<std::int64_t>(newest, status.st_mtim.tv_sec);
  }
  return newest;
}

}  // namespace

Finding check_stale_staging(const std::string& root, WallTime now) {
  const std::string staging = root + "/.longhaul/staging";
  const Folder inside = opened(staging);
  unsigned stale = 0, all = 0;
  while (const ::dirent* entry = inside ? ::readdir(inside.get()) : nullptr) {
    const std::string name = entry->d_name;
    if (name == "." || name == ".." || name.ends_with(".lock")) continue;
    ++all;
    if (now.ns / 1'000'000'000 - touched(staging + "/" + name) > kStaleSeconds) ++stale;
  }
  const char* const check = "unfinished pushes";
  if (stale == 0) return ok(check, fmt::format("{}, none older than a week", all));
  return warn(check, fmt::format("{} untouched for over a week, which hold space", stale),
              fmt::format("push them to their end; the streamer removes from {} what nobody "
                          "touched for {} days",
                          printable(staging), store::kStagingKept / 24h));
}

Finding check_private_part(const std::string& root) {
  const std::string path = root + "/.longhaul";
  struct ::stat status {};
  if (::stat(path.c_str(), &status) != 0)
    return broken("private part", printable(path) + " is not there",
                  "name the root of a streamer, or start one there");
  if ((status.st_mode & 0077U) == 0) return ok("private part", "for its owner alone");
  return warn("private part",
              fmt::format("{} has mode {:o}: others may look inside", printable(path),
                          status.st_mode & 07777U),
              "chmod 700 " + printable(path));
}

Finding check_state(const StatePlace& place) {
  const std::string folder = printable(place.folder);
  const char* const check = "state";
  if (!place.is_there) {
    return warn(
        check, folder + " is not there",
        "nothing is lost: the next start makes it and rebuilds the index; where the disk is "
        "gone for good, start it with another --state DIR");
  }
  if (place.shared_by) {
    return warn(check,
                "the index and locks are on " + *place.shared_by + ", in " + folder +
                    ": slow, and not safe from other hosts",
                "start it with --state DIR, on a disk of this host");
  }
  return ok(check, place.own ? "in " + folder : "in the root, on a disk of this host");
}

}  // namespace longhaul::doctor
