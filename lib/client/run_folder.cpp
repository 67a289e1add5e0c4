#include "lib/client/run_folder.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <memory>

#include "lib/client/mapping.hpp"
#include "lib/crypto/digest.hpp"

namespace longhaul::client {
namespace {

constexpr std::uint32_t kAttemptsMax = 999'999;
constexpr std::size_t kCommandFileMax = 1024;
constexpr std::size_t kCommandFilesMax = 1024;  // looked at in one scan
constexpr std::size_t kReadBytes = 256U << 10;

// What is kept in a file or folder, durable as it may be, is lost with its name.
Result<> sync_name_of(const std::string& path) {
  const std::string folder = path.substr(0, path.rfind('/'));
  const int fd = ::open(folder.empty() ? "/" : folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const int os = fd >= 0 && ::fsync(fd) == 0 ? 0 : errno;
  if (fd >= 0) ::close(fd);
  // A file system that cannot, or a folder that only others may read: as durable as it gets.
  if (os == 0 || os == EINVAL || os == EACCES || os == EROFS) return {};
  return fail_errno("make " + path + " durable", os);
}

Result<> make_folder(const std::string& path) {
  if (::mkdir(path.c_str(), 0777) == 0) return sync_name_of(path);
  if (errno == EEXIST) return {};
  return fail_errno("create the folder " + path, errno);
}

Result<> make_folders(const std::string& path) {
  for (std::size_t at = path.find('/', 1); at != std::string::npos; at = path.find('/', at + 1))
    TRY(make_folder(path.substr(0, at)));
  return make_folder(path);
}

// Every entry of a log, in order; returns where its last whole frame ends.
template <class Use>
Result<run::LogDecoder> read_log(const std::string& path, Use use) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) return fail_errno("open " + path, errno);
  run::LogDecoder decoder;
  ByteVector part(kReadBytes);
  for (;;) {
    const ssize_t got = ::read(fd, part.data(), part.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      const int os = errno;
      ::close(fd);
      return fail_errno("read " + path, os);
    }
    if (got == 0) break;
    decoder.feed(Bytes(part).first(static_cast<std::size_t>(got)));
    while (auto entry = decoder.next()) use(*entry);
  }
  ::close(fd);
  return decoder;
}

std::vector<std::string> names_in(const std::string& folder, std::size_t most) {
  std::vector<std::string> names;
  struct Close {
    void operator()(DIR* dir) const { ::closedir(dir); }
  };
  const std::unique_ptr<DIR, Close> dir(::opendir(folder.c_str()));
  if (dir == nullptr) return names;
  while (names.size() < most) {
    const dirent* entry = ::readdir(dir.get());
    if (entry == nullptr) break;
    names.emplace_back(entry->d_name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace

LogFile::~LogFile() {
  if (fd_ >= 0) ::close(fd_);
}
LogFile::LogFile(LogFile&& other) noexcept : fd_(other.fd_), end_(other.end_) {
  other.fd_ = -1;
}

Result<> LogFile::append(Bytes frame) {
  for (std::size_t done = 0; done < frame.size();) {
    const ssize_t put =
        ::pwrite(fd_, frame.data() + done, frame.size() - done, static_cast<off_t>(end_ + done));
    if (put < 0 && errno == EINTR) continue;
    // What stands there of the frame fails its check, and the next append writes over it.
    if (put <= 0) return fail_errno("write the run log", put < 0 ? errno : ENOSPC);
    done += static_cast<std::size_t>(put);
  }
  end_ += frame.size();
  return {};
}

Result<> LogFile::sync() {
  if (::fdatasync(fd_) == 0) return {};
  return fail_errno("sync the run log", errno);
}

std::string shared_folder(const std::string& named) {
  if (!named.empty()) return named;
  if (const char* set = std::getenv("LONGHAUL_SHM"); set != nullptr && *set != '\0') return set;
  return "/dev/shm";
}

Result<RunFolder> RunFolder::open(const std::string& folder, const std::string& shared) {
  TRY(make_folders(folder));
  TRY(make_folder(folder + "/log"));
  TRY(make_folder(folder + "/control"));
  return find(folder, shared);
}

Result<RunFolder> RunFolder::find(const std::string& folder, const std::string& shared) {
  struct Free {
    void operator()(char* text) const { std::free(text); }
  };
  const std::unique_ptr<char, Free> real(::realpath(folder.c_str(), nullptr));
  if (real == nullptr) return fail_errno("find " + folder, errno);
  const std::string mark = crypto::sha256(std::string_view(real.get())).hex().substr(0, 16);
  return RunFolder(real.get(), fmt::format("{}/longhaul-{}-{}-", shared, ::getuid(), mark));
}

std::string RunFolder::log_path(std::uint32_t attempt) const {
  return fmt::format("{}/log/{:06}.run", folder_, attempt);
}
std::string RunFolder::shared_path(std::uint32_t attempt) const {
  return shared_ + std::to_string(attempt);
}
bool RunFolder::has_attempt(std::uint32_t attempt) const {
  return ::access(log_path(attempt).c_str(), F_OK) == 0;
}

Result<Past> RunFolder::past() const {
  Past past;
  while (past.attempts < kAttemptsMax && has_attempt(past.attempts + 1)) {
    ++past.attempts;
    TRY(read_log(log_path(past.attempts), [&past](const run::LogEntry& entry) {
      if (const auto* event = std::get_if<run::RunEvent>(&entry.record))
        past.controls.on_event(*event);
    }));
  }
  return past;
}

std::vector<std::uint32_t> RunFolder::rescue() const {
  std::vector<std::uint32_t> at_work;
  for (std::uint32_t attempt = 1; has_attempt(attempt); ++attempt) {
    if (::access(shared_path(attempt).c_str(), F_OK) != 0) continue;
    const auto rescued = rescue(attempt);
    if (!rescued && rescued.error().kind() == Kind::kBusy) at_work.push_back(attempt);
  }
  return at_work;
}

Result<std::uint64_t> RunFolder::rescue(std::uint32_t attempt) const {
  const auto mapping = TRY(Mapping::open(shared_path(attempt)));
  run::Drained drained;
  std::optional<run::Start> start;
  const auto log = TRY(read_log(log_path(attempt), [&](const run::LogEntry& entry) {
    drained.on_entry(entry);
    if (const auto* found = std::get_if<run::Start>(&entry.record)) start = *found;
  }));
  std::uint64_t records = 0;
  auto shared = run::SharedLog::open(mapping->bytes());
  if (shared) {
    // Of a run that was removed and begun anew, on another host perhaps, whose process lives.
    const bool told = shared->began().ns != 0;
    if (start && (start->process != shared->process() || (told && start->at != shared->began())))
      return fail(Kind::kExists, "bring " + shared_path(attempt) + " into " + log_path(attempt),
                  "the log is of another run, begun under the same name");
    LogFile file = TRY(open_log(attempt, log.whole_bytes()));
    run::Drain drain(*shared, run::LogEncoder(log.next_number()), drained);
    while (auto frame = drain.next_frame()) {
      TRY(file.append(*frame));
      drain.written();
    }
    TRY(file.sync());
    records = drain.log().next() - log.next_number();
  }
  mapping->remove();
  return records;
}

Result<std::uint32_t> RunFolder::begin_attempt(std::uint32_t after) const {
  for (std::uint32_t attempt = after + 1; attempt <= kAttemptsMax; ++attempt) {
    const int fd = ::open(log_path(attempt).c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd >= 0) {
      ::close(fd);
      TRY(sync_name_of(log_path(attempt)));
      return attempt;
    }
    if (errno != EEXIST) return fail_errno("begin an attempt in " + folder_, errno);
  }
  return fail(Kind::kLimit, "begin an attempt in " + folder_, "there were too many");
}

Result<LogFile> RunFolder::open_log(std::uint32_t attempt, std::uint64_t end) const {
  const int fd = ::open(log_path(attempt).c_str(), O_WRONLY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) return fail_errno("open " + log_path(attempt), errno);
  if (::ftruncate(fd, static_cast<off_t>(end)) != 0) {
    const int os = errno;
    ::close(fd);
    return fail_errno("cut the torn end of " + log_path(attempt), os);
  }
  return LogFile(fd, end);
}

std::vector<run::Command> RunFolder::commands() const {
  std::vector<run::Command> commands;
  for (const std::string& name : names_in(folder_ + "/control", kCommandFilesMax)) {
    if (!name.ends_with(".cmd")) continue;
    const std::string path = folder_ + "/control/" + name;
    const int fd = ::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) continue;
    ByteVector bytes(kCommandFileMax);
    const ssize_t got = ::read(fd, bytes.data(), bytes.size());
    ::close(fd);
    if (got <= 0) continue;
    if (auto command = run::read_command_file(Bytes(bytes).first(static_cast<std::size_t>(got))))
      commands.push_back(*std::move(command));
  }
  const auto older = [](const run::Command& a, const run::Command& b) { return a.id < b.id; };
  std::sort(commands.begin(), commands.end(), older);
  return commands;
}

void RunFolder::forget_command(std::uint64_t id) const {
  ::unlink(fmt::format("{}/control/{:016x}.cmd", folder_, id).c_str());
}

}  // namespace longhaul::client
