#include "lib/gateway/site_files.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

#include "lib/base/escape.hpp"

namespace longhaul::gateway {
namespace {

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }

 private:
  const int fd_;
};

int open_plainly(const std::string& path) {
  return ::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
}

}  // namespace

Result<std::unique_ptr<SiteFiles>> SiteFiles::open(const std::string& root, Opener opener) {
  std::error_code error;
  if (!std::filesystem::is_directory(root + "/.longhaul", error))
    return fail(error.value() == EACCES ? Kind::kPermission : Kind::kNotFound,
                "read a dataset below " + printable(root, 500),
                "that is no streamer's root, or another user's");
  if (!opener)
    opener = [root](const store::TreeName& name) { return open_plainly(root + "/" + name.text()); };
  return std::unique_ptr<SiteFiles>(new SiteFiles(root, std::move(opener)));
}

std::string SiteFiles::where() const {
  return "below " + printable(root_, 500);
}

Result<std::optional<store::VersionNo>> SiteFiles::current(const store::DatasetName& dataset) {
  std::error_code error;
  const auto link =
      std::filesystem::read_symlink(root_ + "/datasets/" + dataset.text() + "/current", error);
  return error ? std::nullopt : store::parse_version(link.native());
}

Result<std::optional<Site::Seen>> SiteFiles::look(const store::TreeName& name) {
  const Descriptor file(opener_(name));  // not stat(2): a network file system looks anew at an open
  if (file.get() < 0 && (errno == EACCES || errno == EIO || errno == ESTALE))
    return fail_errno("read " + printable(path_of(name), 500), errno);
  struct stat stat {};
  if (file.get() < 0 || ::fstat(file.get(), &stat) != 0 || !S_ISREG(stat.st_mode))
    return std::optional<Seen>();
  return Seen{{static_cast<std::int64_t>(stat.st_ino), stat.st_size, stat.st_ctim.tv_sec,
               stat.st_ctim.tv_nsec, stat.st_mtim.tv_nsec},
              static_cast<std::uint64_t>(stat.st_size)};
}

Result<Site::Filled> SiteFiles::read(const store::TreeName& name, std::uint64_t offset,
                                     MutableBytes out) {
  const Descriptor file(opener_(name));
  if (file.get() < 0) return Filled::kNot;
  while (!out.empty()) {
    const ssize_t got = ::pread(file.get(), out.data(), out.size(), static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return Filled::kNot;
    out = out.subspan(static_cast<std::size_t>(got));
    offset += static_cast<std::uint64_t>(got);
  }
  return Filled::kWhole;
}

void SiteFiles::want(const store::DatasetName& dataset, const store::Demand& demand) {
  wishes_.try_emplace(dataset.text(), path_of(store::demand_folder(dataset)))
      .first->second.say(demand);
}

void SiteFiles::want_nothing(const store::DatasetName& dataset) {
  wishes_.erase(dataset.text());
}

}  // namespace longhaul::gateway
