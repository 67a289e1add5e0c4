#include "lib/doctor/folder.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/fs.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <system_error>

#include "lib/base/escape.hpp"
#include "lib/io/beneath.hpp"
#include "lib/io/file_system.hpp"

namespace longhaul::doctor {
namespace {

constexpr std::uint64_t kBytesLeast = 64U << 20, kBytesFew = 1U << 30;
constexpr std::uint64_t kFilesFew = 10'000;

std::string said(int os) {
  return std::generic_category().message(os);
}

// A folder of our own inside, gone with what it holds when the tests are over.
class Bench {
 public:
  explicit Bench(const std::string& folder) : path_(folder + "/.longhaul-doctor-XXXXXX") {
    made_ = ::mkdtemp(path_.data()) != nullptr;
    os_ = errno;
  }
  ~Bench() {
    if (!made_) return;
    for (const char* name : {"a", "b", "c"}) ::unlink(at(name).c_str());
    ::rmdir(path_.c_str());
  }
  Bench(const Bench&) = delete;
  Bench& operator=(const Bench&) = delete;
  bool made() const { return made_; }
  int os() const { return os_; }
  std::string at(const char* name) const { return path_ + "/" + name; }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
  bool made_ = false;
  int os_ = 0;
};

Finding check_kind(const std::string& check, const std::string& folder) {
  struct ::statfs fs {};
  if (::statfs(folder.c_str(), &fs) != 0) return warn(check, said(errno), "see that it is mounted");
  if (const auto type = io::shared_file_system(static_cast<std::uint32_t>(fs.f_type)))
    return warn(
        check, *type + ": each small file costs round trips there",
        "use a local disk if there is one; else start the streamer with --state DIR on one");
  return ok(check, "local");
}

Finding check_locks(const std::string& check, const Bench& bench) {
  const io::Fd one(::open(bench.at("a").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  const io::Fd two(::open(bench.at("a").c_str(), O_RDWR | O_CLOEXEC));
  const std::string fix = "mount it with locks (NFS: without nolock), or use another disk";
  if (!one.is_open() || !two.is_open()) return broken(check, said(errno), fix);
  if (::flock(one.get(), LOCK_EX | LOCK_NB) != 0) return broken(check, said(errno), fix);
  if (::flock(two.get(), LOCK_EX | LOCK_NB) == 0)
    return broken(check, "two holders of one lock: two streamers could share the root", fix);
  return ok(check, "a second holder is refused");
}

Finding check_rename(const std::string& check, const Bench& bench) {
  const io::Fd from(::open(bench.at("b").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
  if (!from.is_open() || ::rename(bench.at("b").c_str(), bench.at("a").c_str()) != 0)
    return broken(check, said(errno), "use another disk: publishing is a rename");
  return ok(check, "replaces a file at once");
}

Finding check_link(const std::string& check, const Bench& bench) {
  if (::link(bench.at("a").c_str(), bench.at("b").c_str()) == 0)
    return ok(check, "unchanged files are shared between versions");
  return warn(check, said(errno) + ": each version keeps its own copy of every file",
              "use a file system with hard links, or keep fewer versions");
}

Finding check_reflink(const std::string& check, const Bench& bench) {
  const io::Fd from(::open(bench.at("a").c_str(), O_RDONLY | O_CLOEXEC));
  const io::Fd to(::open(bench.at("c").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
  if (from.is_open() && to.is_open() && ::ioctl(to.get(), FICLONE, from.get()) == 0)
    return ok(check, "copies share their blocks");
  return ok(check, "not here; hard links serve instead");
}

Finding check_syncfs(const std::string& check, const std::string& folder) {
  const io::Fd fd(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (fd.is_open() && ::syncfs(fd.get()) == 0) return ok(check, "works");
  return broken(check, said(errno), "see the system's log: the disk may be failing");
}

}  // namespace

Finding check_space(const std::string& check, const Space& space) {
  const std::string found =
      fmt::format("{:.1f} GB free", static_cast<double>(space.free_bytes) / 1e9);
  if (space.free_bytes < kBytesLeast)
    return broken(check, found, "free some: `longhaul rm SITE:DATASET@VERSION` removes a version");
  if (space.free_bytes < kBytesFew) return warn(check, found, "free some before a large push");
  if (space.counts_files && space.free_files < kFilesFew)
    return warn(check, fmt::format("{}, but only for {} more files", found, space.free_files),
                "remove small files, or use a file system with more inodes");
  return ok(check, found);
}

std::vector<Finding> examine_folder(const std::string& folder, const std::string& noun) {
  std::vector<Finding> out;
  const auto name = [&noun](const char* what) { return noun + ": " + what; };
  struct ::statvfs fs {};
  if (::statvfs(folder.c_str(), &fs) != 0) {
    return {broken(name("folder"), printable(folder) + ": " + said(errno),
                   "make the folder, or name the right one")};
  }
  const Space space{static_cast<std::uint64_t>(fs.f_bavail) * fs.f_frsize,
                    static_cast<std::uint64_t>(fs.f_favail), fs.f_files != 0};
  out.push_back(check_space(name("space"), space));
  out.push_back(check_kind(name("file system"), folder));
  const Bench bench(folder);
  if (!bench.made()) {
    out.push_back(broken(name("writing"), printable(folder) + ": " + said(bench.os()),
                         "give this user the right to write there, or use another folder"));
    return out;
  }
  out.push_back(ok(name("writing"), "works"));
  out.push_back(check_locks(name("locks"), bench));
  out.push_back(check_rename(name("rename"), bench));
  out.push_back(check_link(name("hard links"), bench));
  out.push_back(check_reflink(name("reflinks"), bench));
  out.push_back(check_syncfs(name("syncfs"), bench.path()));
  return out;
}

}  // namespace longhaul::doctor
