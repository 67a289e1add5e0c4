#include "lib/io/tree_watch.hpp"

#include <sys/inotify.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <unordered_map>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/posix/basic_stream_descriptor.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "lib/base/escape.hpp"
#include "lib/io/file_system.hpp"
#include "lib/io/signal.hpp"

namespace longhaul::io {
namespace asio = boost::asio;
namespace {

constexpr auto kAwait = asio::as_tuple(asio::use_awaitable_t<Executor>{});
// No IN_ACCESS, IN_OPEN, IN_CLOSE_NOWRITE: walking and reading must not wake ourselves.
constexpr std::uint32_t kEvents = IN_CREATE | IN_DELETE | IN_MODIFY | IN_CLOSE_WRITE | IN_ATTRIB |
                                  IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE_SELF | IN_MOVE_SELF;
constexpr std::uint32_t kFlags = IN_ONLYDIR | IN_DONT_FOLLOW | IN_EXCL_UNLINK;
// inotify(7) pads names; the longest event must fit, and one read takes many.
constexpr std::size_t kReadBytes = 64U << 10;
constexpr int kReadsAtOnce = 16;  // a storm must not hold the strand

Error no_watch(int os) {
  const std::string attempt = "be told of changes";
  if (os == ENOSPC) {
    return Error(Kind::kLimit, attempt, "this user may not watch that many folders")
        .advise("sysctl fs.inotify.max_user_watches=1048576, as root, lets it");
  }
  if (os == EMFILE) {
    return Error(Kind::kLimit, attempt, "too many programs of this user watch folders")
        .advise("sysctl fs.inotify.max_user_instances=1024, as root, lets more");
  }
  return Error(Error::kind_of_errno(os), attempt, os);
}

// The watches of one inotify; used by one Work after the other, never by two threads at once.
class Watches {
 public:
  Watches(int fd, std::string top) : fd_(fd), top_(std::move(top)) {}

  // True: some folder was not watched before.
  bool follow(const std::vector<store::TreeName>& folders) {
    if (blind) return false;
    ++round_;
    bool grew = add(top_);
    for (const store::TreeName& folder : folders) {
      if (blind) break;
      const bool added = add(top_ + "/" + folder.text());
      grew = grew || added;
    }
    if (blind) return forget_all();
    std::erase_if(round_of_, [this](const auto& watch) {
      if (watch.second == round_) return false;
      ::inotify_rm_watch(fd_, watch.first);  // an error: the folder is gone, and its watch with it
      return true;
    });
    return grew;
  }

  std::optional<Error> blind;

 private:
  bool add(const std::string& path) {
    const int watch = ::inotify_add_watch(fd_, path.c_str(), kEvents | kFlags);
    if (watch < 0) {
      // Gone or hidden since the walk: its parent tells, and the next walk sees.
      if (errno != ENOENT && errno != ENOTDIR && errno != EACCES && errno != ELOOP)
        blind = no_watch(errno);
      return false;
    }
    const bool is_new = round_of_.find(watch) == round_of_.end();
    round_of_[watch] = round_;
    if (is_new) look_at_type(path);
    return is_new;
  }
  void look_at_type(const std::string& path) {
    const auto type = shared_file_system_at(path);
    if (!type) return;
    blind = Error(Kind::kUnsupported, "be told of changes",
                  printable(path) + " is on " + *type + ", where others may write unseen")
                .advise("nothing need be done");
  }
  bool forget_all() {
    for (const auto& [watch, round] : round_of_) ::inotify_rm_watch(fd_, watch);
    round_of_.clear();
    return false;
  }

  int fd_;
  std::string top_;
  std::uint64_t round_ = 0;
  std::unordered_map<int, std::uint64_t> round_of_;  // by watch: the follow() that named it last
};

class Follow final : public Work {
 public:
  Follow(Watches& watches, std::vector<store::TreeName> folders)
      : watches_(watches), folders_(std::move(folders)) {}
  void run() override { grew = watches_.follow(folders_); }
  bool grew = false;

 private:
  Watches& watches_;
  std::vector<store::TreeName> folders_;
};

bool tells_of_a_change(Bytes read) {
  for (std::size_t at = 0; at + sizeof(::inotify_event) <= read.size();) {
    ::inotify_event event{};
    std::memcpy(&event, read.data() + at, sizeof event);
    // IN_IGNORED alone is the end of a watch, most often by our own hand; an overflow hides
    // changes.
    if ((event.mask & (kEvents | IN_Q_OVERFLOW | IN_UNMOUNT)) != 0) return true;
    at += sizeof event + event.len;
  }
  return false;
}

class Inotify final : public TreeWatch {
 public:
  Inotify(Env& env, int fd, std::string top)
      : env_(env), descriptor_(env.executor(), fd), watches_(fd, std::move(top)) {}

  Task<bool> follow(std::vector<store::TreeName> folders) override {
    Job job{JobId(1), JobClass::kDisk, std::make_unique<Follow>(watches_, std::move(folders))};
    Job done = co_await env_.work(std::move(job));
    blind_ = watches_.blind;
    co_return done.as<Follow>().grew;
  }

  Task<bool> changed() override {
    while (descriptor_.is_open()) {
      const auto [status] =
          co_await descriptor_.async_wait(asio::posix::descriptor_base::wait_read, kAwait);
      if (status) break;
      if (drained_a_change()) co_return true;
    }
    co_return false;
  }
  std::optional<Error> blind() const override { return blind_; }
  void close() override {
    boost::system::error_code ignored;
    descriptor_.close(ignored);
  }

 private:
  bool drained_a_change() {
    bool changed = false;
    buffer_.resize(kReadBytes);
    for (int i = 0; i < kReadsAtOnce; ++i) {
      const ::ssize_t count = ::read(descriptor_.native_handle(), buffer_.data(), buffer_.size());
      if (count <= 0) break;  // EAGAIN: all was read
      changed = tells_of_a_change(Bytes(buffer_).first(static_cast<std::size_t>(count))) || changed;
    }
    return changed;
  }

  Env& env_;
  asio::posix::basic_stream_descriptor<Executor> descriptor_;
  Watches watches_;
  std::optional<Error> blind_;  // as the last follow() left it; watches_ may be at work
  ByteVector buffer_;
};

// Where there is no inotify at all.
class Blind final : public TreeWatch {
 public:
  Blind(Env& env, Error why) : closed_(env.executor()), why_(std::move(why)) {}
  Task<bool> follow(std::vector<store::TreeName> /*folders*/) override { co_return false; }
  Task<bool> changed() override {
    co_await closed_.wait();
    co_return false;
  }
  std::optional<Error> blind() const override { return why_; }
  void close() override { closed_.notify(); }

 private:
  Signal closed_;
  Error why_;
};

}  // namespace

std::unique_ptr<TreeWatch> TreeWatch::open(Env& env, std::string top) {
  const int fd = ::inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
  if (fd < 0) return std::make_unique<Blind>(env, no_watch(errno));
  return std::make_unique<Inotify>(env, fd, std::move(top));
}

}  // namespace longhaul::io
