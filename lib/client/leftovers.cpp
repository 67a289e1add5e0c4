#include "lib/client/leftovers.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <memory>

#include "lib/client/mapping.hpp"
#include "lib/client/run_folder.hpp"

namespace longhaul::client {
namespace {

constexpr std::size_t kRingsMost = 65'536;  // files of that name in one folder
constexpr int kLookEveryMs = 100;

Error if_missing(Error error, std::string advice) {
  if (error.kind() != Kind::kNotFound) return error;
  return std::move(error).advise(std::move(advice));
}

// Names of files that are this user's rings, or look like it.
Result<std::vector<std::string>> ring_names(const std::string& shared) {
  struct Close {
    void operator()(DIR* dir) const { ::closedir(dir); }
  };
  const std::unique_ptr<DIR, Close> dir(::opendir(shared.c_str()));
  if (dir == nullptr)
    return fail(if_missing(fail_errno("list " + shared, errno).value(),
                           "name with --shared the folder of which the program was told"));
  const std::string ours = fmt::format("longhaul-{}-", ::getuid());
  std::vector<std::string> names;
  while (names.size() < kRingsMost) {
    const dirent* entry = ::readdir(dir.get());
    if (entry == nullptr) break;
    if (std::string_view(entry->d_name).starts_with(ours)) names.emplace_back(entry->d_name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

// Without the lock and unmapped: its process may live, and may remove it. kNotFound, too, if that
// has only begun to make it: nothing was logged there.
Result<run::SharedHead> read_head(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return fail_errno("open " + path, errno);
  struct stat stat {};
  ByteVector bytes(run::SharedLog::kHeadBytes);
  const bool known = ::fstat(fd, &stat) == 0 && S_ISREG(stat.st_mode);
  const ssize_t got = known ? ::pread(fd, bytes.data(), bytes.size(), 0) : -1;
  ::close(fd);
  // Anybody may put a file there, with the name of somebody else's run in it.
  if (known && stat.st_uid != ::geteuid())
    return fail(Kind::kPermission, "open " + path, "it belongs to another user");
  if (got < static_cast<ssize_t>(bytes.size())) return fail(Kind::kNotFound, "read " + path);
  auto head = run::SharedLog::read_head(bytes);
  if (head) return head;
  const auto mapping = Mapping::open(path);
  if (!mapping && mapping.error().kind() == Kind::kBusy)
    return fail(Kind::kNotFound, "read " + path);
  return head;
}

bool lives(std::uint64_t process) {
  return ::kill(static_cast<pid_t>(process), 0) == 0 || errno != ESRCH;
}

void drain(Leftover& found, const RunFolder& run) {
  if (run.shared_path(found.attempt) != found.ring) {
    found.error = Error(
        Kind::kMalformed, "drain " + found.ring,
        "its name is not that of attempt " + std::to_string(found.attempt) + " of " + run.path());
    return;
  }
  auto records = run.rescue(found.attempt);
  if (records) {
    found.state = LeftoverState::kDrained;
    found.records = *records;
  } else if (records.error().kind() == Kind::kBusy) {
    found.state = lives(found.process) ? LeftoverState::kAtWork : LeftoverState::kHeld;
    found.error = std::move(records).error();
  } else {
    found.error = std::move(records).error();
  }
}

Result<std::vector<Leftover>> look(const std::string& shared,
                                   const std::vector<RunFolder>& wanted) {
  std::vector<Leftover> all;
  for (const std::string& name : TRY(ring_names(shared))) {
    Leftover found;
    found.ring = shared + "/" + name;
    const auto head = read_head(found.ring);
    if (!head && head.error().kind() == Kind::kNotFound) continue;  // it ended just now
    if (head) {
      found.run = head->folder;
      found.attempt = head->attempt;
      found.process = head->process;
    }
    const auto named = [&found](const RunFolder& run) {
      return run.shared_path(found.attempt) == found.ring;
    };
    const auto run = std::find_if(wanted.begin(), wanted.end(), named);
    if (!wanted.empty() && run == wanted.end()) continue;  // of another run
    if (!head) {
      found.error = head.error();
    } else if (run != wanted.end()) {
      found.run = run->path();
      drain(found, *run);
    } else if (found.run.empty()) {
      found.error =
          Error(Kind::kUnsupported, "drain " + found.ring, "it does not say of which run it is")
              .advise("name the run's folder");
    } else if (const auto told = RunFolder::find(found.run, shared)) {
      drain(found, *told);
    } else {
      found.error = told.error();
    }
    if (found.state == LeftoverState::kFailed && found.error.kind() == Kind::kNotFound) {
      if (::access(found.ring.c_str(), F_OK) != 0) continue;  // so did this one
      found.error = if_missing(std::move(found.error),
                               "drain again where the run's folder can be seen; if the run is gone "
                               "for good, remove " +
                                   found.ring);
    }
    all.push_back(std::move(found));
  }
  return all;
}

Result<RunFolder> find_named(const std::string& run, const std::string& shared) {
  auto found = RunFolder::find(run, shared);
  if (found) return found;
  return fail(if_missing(std::move(found).error(),
                         "name a run's folder, the one that holds log/; or none, and all that this "
                         "user's programs left here is drained"));
}

}  // namespace

Result<std::vector<Leftover>> drain_leftovers(const LeftoverOptions& options) {
  const std::string shared = shared_folder(options.shared);
  std::vector<RunFolder> wanted;
  for (const std::string& run : options.runs) wanted.push_back(TRY(find_named(run, shared)));
  const auto until = std::chrono::steady_clock::now() + options.wait;
  for (std::vector<Leftover> before;;) {
    const bool late = std::chrono::steady_clock::now() >= until;
    std::vector<Leftover> all = TRY(look(shared, wanted));
    const auto is_held = [](const Leftover& one) { return one.state == LeftoverState::kHeld; };
    const bool last = late || std::none_of(all.begin(), all.end(), is_held);
    // What is drained is not there at the next look; anything else is.
    for (Leftover& one : all)
      if (last || one.state == LeftoverState::kDrained) before.push_back(std::move(one));
    if (last) return before;
    ::poll(nullptr, 0, kLookEveryMs);
  }
}

}  // namespace longhaul::client
