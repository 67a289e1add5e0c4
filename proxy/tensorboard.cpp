#include "proxy/tensorboard.hpp"

#include <sys/stat.h>

#include <cerrno>
#include <utility>

#include "lib/base/escape.hpp"
#include "lib/run/event_file.hpp"
#include "lib/wire/codec.hpp"

namespace longhaul::proxy {
namespace {

constexpr std::size_t kPlacesMax = 1U << 20;
constexpr std::size_t kWriteBytes = 1U << 20;

// What `longhaul.places` holds.
struct Places {
  wire::Text<1024> file;
  std::uint64_t bytes = 0;
  std::uint32_t attempt = 0;
  wire::Map<std::uint32_t, std::uint64_t, 65536> next;
  template <class F>
  static void fields(F& f) {
    f(&Places::file, "file");
    f(&Places::bytes, "bytes", "of it that are whole");
    f(&Places::attempt, "attempt", "whose points were written last");
    f(&Places::next, "next", "record of each attempt");
  }
};

// What `longhaul.run` holds: whose history this is.
struct Owner {
  wire::Text<512> run;
  wire::Map<std::uint32_t, WallTime, 65536> began;
  template <class F>
  static void fields(F& f) {
    f(&Owner::run, "run", "SITE/RUN");
    f(&Owner::began, "began", "of each attempt, when");
  }
};

const store::TreeName kOwner = store::TreeName::known("longhaul.run");
const store::TreeName kPlaces = store::TreeName::known("longhaul.places");

}  // namespace

Result<std::unique_ptr<EventFolder>> EventFolder::open(const std::string& folder,
                                                       const std::string& run) {
  if (::mkdir(folder.c_str(), 0777) != 0 && errno != EEXIST)
    return fail_errno("make the folder " + folder, errno);
  auto files = TRY(io::PosixFiles::at(folder));
  auto lock = TRY(files->lock(store::TreeName::known("longhaul.lock")));
  std::unique_ptr<EventFolder> made(
      new EventFolder(std::move(files), std::move(lock), folder, run));
  TRY(made->load_owner());
  TRY(made->load());
  return made;
}

Error EventFolder::other_run(std::string why) const {
  return Error(Kind::kExists, "write event files into " + printable(folder_, 400), std::move(why))
      .advise("give another folder, or remove this one");
}

// A folder of before there was such a file is taken for this run's.
Result<> EventFolder::load_owner() {
  const auto bytes = store::read_whole(*files_, kOwner, kPlacesMax);
  if (!bytes && bytes.error().kind() == Kind::kNotFound) return {};
  if (!bytes) return fail(bytes.error());
  const Owner owner = TRY(wire::decode<Owner>(Bytes(*bytes)));
  if (owner.run != run_) return fail(other_run("it holds those of " + printable(owner.run, 300)));
  began_ = owner.began;
  return {};
}

Result<> EventFolder::load() {
  const auto bytes = store::read_whole(*files_, kPlaces, kPlacesMax);
  if (!bytes && bytes.error().kind() == Kind::kNotFound) return {};
  if (!bytes) return fail(bytes.error());
  const Places places = TRY(wire::decode<Places>(Bytes(*bytes)));
  name_ = places.file;
  end_ = places.bytes;
  attempt_ = places.attempt;
  next_ = places.next;
  const auto name = TRY(store::TreeName::parse(name_));
  file_ = TRY(files_->open(name, store::Access::kWrite));
  const store::FileStat stat = TRY(file_->stat());
  if (stat.size < end_) {
    return fail(Error(Kind::kIntegrity, "write event files into " + printable(folder_, 400),
                      printable(name_, 200) + " is shorter than it was")
                    .advise("remove the folder: all of it is written anew"));
  }
  return file_->resize(end_);
}

// The first file, named after the attempt that is first here.
Result<> EventFolder::begin(const feed::Took& took) {
  WallTime at;
  std::string host = "unknown";
  std::uint64_t process = 0;
  for (const run::LogEntry& entry : took.entries) {
    const auto* start = std::get_if<run::Start>(&entry.record);
    if (start == nullptr) continue;
    at = start->at;
    host = start->host;
    process = start->process;
  }
  name_ = run::event_file_name(at, host, process, 0);
  const auto name = TRY(store::TreeName::parse(name_));
  file_ = TRY(files_->open(name, store::Access::kOpenOrCreate));
  TRY(file_->resize(0));  // of a try that came to nothing
  append(waiting_, run::event_file_head(at));
  return {};
}

Result<> EventFolder::take(const feed::Took& took) {
  for (const run::LogEntry& entry : took.entries) {
    if (const auto* name = std::get_if<run::NameSeries>(&entry.record))
      names_[{took.attempt, name->id}] = name->name;
    const auto* start = std::get_if<run::Start>(&entry.record);
    if (start == nullptr) continue;
    const auto [known, is_new] = began_.emplace(took.attempt, start->at);
    if (known->second != start->at)
      return fail(other_run("it holds those of a run that was removed, of the same name"));
    changed_ = changed_ || is_new;
  }
  std::uint64_t& next = next_[took.attempt];
  if (took.next <= next) return {};
  const std::uint64_t had = std::exchange(next, took.next);
  changed_ = true;
  if (took.points.empty() || took.attempt < attempt_) return {};
  if (file_ == nullptr) TRY(begin(took));
  if (attempt_ != 0 && took.attempt > attempt_)
    append(waiting_, run::session_start_event(took.points[0].at, took.points[0].step));
  attempt_ = took.attempt;
  // Stretches end where the link's pace had it: this one may begin before what is there ends.
  std::uint64_t number = took.first;
  auto entry = took.entries.begin();
  for (const run::Point& point : took.points) {
    for (; entry != took.entries.end() && entry->number == number; ++entry) ++number;
    if (number++ < had) continue;
    const auto name = names_.find({took.attempt, point.series});
    if (name == names_.end()) continue;
    append(waiting_, run::scalar_event(point.at, point.step, name->second, point.value));
    if (waiting_.size() >= kWriteBytes) TRY(write());
  }
  return write();
}

Result<> EventFolder::write() {
  TRY(file_->write_at(waiting_, end_));
  end_ += waiting_.size();
  waiting_.clear();
  return {};
}

Result<> EventFolder::sync() {
  if (!changed_ || file_ == nullptr) return {};
  Owner owner;
  owner.run = run_;
  for (const auto& [attempt, began] : began_) owner.began.emplace(attempt, began);
  TRY(store::write_whole(*files_, kOwner, wire::encode(owner)));
  TRY(file_->sync());
  Places places;
  places.file = name_;
  places.bytes = end_;
  places.attempt = attempt_;
  for (const auto& [attempt, next] : next_) places.next.emplace(attempt, next);
  TRY(store::write_whole(*files_, kPlaces, wire::encode(places)));
  changed_ = false;
  return {};
}

}  // namespace longhaul::proxy
