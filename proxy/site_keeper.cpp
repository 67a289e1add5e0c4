#include "proxy/site_keeper.hpp"

#include <algorithm>

#include "lib/base/escape.hpp"
#include "proxy/daemon/lines.hpp"
#include "proxy/daemon/mirror_reading.hpp"
#include "proxy/daemon_place.hpp"
#include "proxy/files.hpp"
#include "proxy/mirror_place.hpp"

namespace longhaul::proxy {
namespace {

constexpr std::size_t kMirrorsKeptMax = 2 * daemon::kWatchesMax;
constexpr std::size_t kListTextMax = 64U << 20;
constexpr Duration kUnservedLook = std::chrono::minutes(1);

struct OpenedMirror {
  std::unique_ptr<store::Files> folder;
  std::unique_ptr<feed::Mirror> mirror;
  daemon::MirrorReading reading;
};

// Reads a mirror to its end: where each attempt is, and what became of commands.
class OpenMirrorWork final : public Work {
 public:
  // put_away: what is there is another run's, and gets this name.
  OpenMirrorWork(std::string path, std::string put_away)
      : path_(std::move(path)), put_away_(std::move(put_away)) {}
  void run() override { result = open(); }
  Result<OpenedMirror> result;

 private:
  Result<OpenedMirror> open() {
    OpenedMirror opened;
    opened.folder = TRY(private_folder(path_));
    if (!put_away_.empty()) {
      TRY(opened.folder->rename(store::TreeName::known("mirror"),
                                TRY(store::TreeName::parse(put_away_)), store::Replace::kNo));
    }
    opened.mirror = TRY(feed::Mirror::open(*opened.folder, store::TreeName::known("mirror")));
    opened.reading = TRY(daemon::read_mirror(*opened.mirror));
    return opened;
  }
  const std::string path_, put_away_;
};

class KeepListWork final : public Work {
 public:
  KeepListWork(const App& app, std::string site, std::string text)
      : app_(app), site_(std::move(site)), text_(std::move(text)) {}
  void run() override { result = keep(); }
  Result<> result;

 private:
  Result<> keep() {
    const auto folder = TRY(lists_folder(app_));
    return store::write_whole(*folder, list_name(site_), bytes_of(text_), 0600);
  }
  const App& app_;
  const std::string site_, text_;
};

bool mends(const Site& site, const Error& why) {
  return !site.tunnel.empty() || why.kind() == Kind::kAuth || why.kind() == Kind::kUnsupported ||
         why.kind() == Kind::kMalformed || why.kind() == Kind::kUsage;
}

}  // namespace

SiteKeeper::SiteKeeper(App& app, Site site, std::function<void(const daemon::Order&)> keep)
    : app_(app),
      site_(std::move(site)),
      keep_(std::move(keep)),
      core_(app.env.now()),
      tasks_(app.env.executor()),
      alarm_(app.env.alarm()) {
  const auto folder = lists_folder(app_);
  if (!folder) return;
  const auto text = store::read_whole(**folder, list_name(site_.name), kListTextMax);
  if (!text) return;
  if (auto list = daemon::parse_run_list(text_of(*text)))
    core_.restore(app_.env.now(), *std::move(list));
}

SiteKeeper::~SiteKeeper() = default;

void SiteKeeper::wake() {
  woken_ = true;
  alarm_->set(app_.env.now());
  if (connection_ != nullptr) connection_->wake();
}

void SiteKeeper::hurry() {
  core_.hurry(app_.env.now());
  wake();
}

void SiteKeeper::stop() {
  stopping_ = true;
  core_.stop();
  for (const auto& [id, process] : programs_) process->terminate();
  wake();
}

void SiteKeeper::begin() {
  const Time now = app_.env.now();
  core_.on_session(now);
  ConnectOptions options;
  options.required = session::kCapabilityRuns;
  Result<std::unique_ptr<Connection>> made = Connection::make(app_, site_, options);
  if (made) {
    connection_ = *std::move(made);
  } else {
    core_.on_ended(now, made.error(), true);
  }
}

void SiteKeeper::hear() {
  const Time now = app_.env.now();
  const bool established = connection_->established();
  core_.on_link(now, established, established && !connection_->down_since(),
                connection_->session().status().heard);
  const WallTime wall = app_.env.wall();
  while (std::optional<feed::Event> event = connection_->viewer().poll_event()) {
    if (const auto* broken = std::get_if<feed::FeedBroken>(&*event)) {
      LOG(app_.log, kWarn, "{} broke the protocol: {}", site_.name, broken->why.message());
      broken_ = broken->why;
      return;
    }
    auto* opened = std::get_if<feed::Opened>(&*event);
    if (opened != nullptr) {
      if (opened->error) drop_empty(opened->watch);
      if (is_other_run(*opened)) {
        connection_->viewer().unwatch(now, opened->watch);
        opened->error = Error(Kind::kChanged, "watch the run", "another was begun under its name");
      }
    }
    // What a new attempt's log begins with, so that it is known again.
    if (const auto* took = std::get_if<feed::Took>(&*event)) learn(*took);
    core_.on_event(now, wall, *event);
    if (opened != nullptr && opened->error) watches_.erase(opened->watch);
  }
}

// The mirror's is then put away when it is opened again.
bool SiteKeeper::is_other_run(const feed::Opened& opened) {
  const auto run = watches_.find(opened.watch);
  const auto kept = run == watches_.end() ? mirrors_.end() : mirrors_.find(run->second);
  if (kept == mirrors_.end()) return false;
  if (opened.error && opened.error->kind() == Kind::kChanged) kept->second.stale = true;
  if (opened.error || opened.first == 0) return false;
  const auto known = kept->second.began.find(opened.first);
  if (known == kept->second.began.end() || known->second == opened.began) return false;
  LOG(app_.log, kWarn, "{}/{} was removed there, and another begun: its mirror is put away",
      site_.name, printable(run->second, 200));
  kept->second.stale = true;
  return true;
}

void SiteKeeper::learn(const feed::Took& took) {
  const auto run = watches_.find(took.watch);
  const auto kept = run == watches_.end() ? mirrors_.end() : mirrors_.find(run->second);
  if (kept == mirrors_.end()) return;
  for (const run::LogEntry& entry : took.entries)
    if (const auto* start = std::get_if<run::Start>(&entry.record))
      if (kept->second.began.size() < daemon::kAttemptsBoardMax)
        kept->second.began.emplace(took.attempt, start->at);
}

// There is no such run: its name is not to stay behind.
void SiteKeeper::drop_empty(wire::WatchId watch) {
  const auto run = watches_.find(watch);
  const auto kept = run == watches_.end() ? mirrors_.end() : mirrors_.find(run->second);
  if (kept == mirrors_.end() || !kept->second.mirror->have().empty()) return;
  remove_empty_mirror(app_.home.state + "/runs/" + site_.name, run->second);
  mirrors_.erase(kept);
}

void SiteKeeper::obey() {
  bool any = false;
  while (std::optional<daemon::Act> act = core_.poll(app_.env.now(), app_.env.wall())) {
    std::visit([this](const auto& one) { obey(one); }, *act);
    any = true;
  }
  // Only then: the pump tells that it was poked, and we would be woken for nothing, for ever.
  if (any && connection_ != nullptr) connection_->poke();
  if (core_.link().state() == said_) return;
  said_ = core_.link().state();
  const auto& why = core_.link().why();
  LOG(app_.log, kInfo, "{}: {}{}", site_.name, name_of(said_), why ? ": " + why->message() : "");
}

void SiteKeeper::obey(const daemon::AskRuns&) {
  core_.on_asked(connection_->viewer().list(app_.env.now()));
}
void SiteKeeper::obey(const daemon::KeepOrder& act) {
  keep_(act.order);
}
void SiteKeeper::obey(const daemon::KeepRuns&) {
  keep_again_ = true;
  if (!keeping_) tasks_.spawn(keep_runs());
}
void SiteKeeper::obey(const daemon::BeginTask& act) {
  tasks_.spawn(run_task(act.order));
}
void SiteKeeper::obey(const daemon::EndTask& act) {
  ending_.insert(act.id);
  if (const auto at = programs_.find(act.id); at != programs_.end()) at->second->terminate();
}
void SiteKeeper::obey(const daemon::OpenMirror& act) {
  const auto known = mirrors_.find(act.run);
  const bool stale = known != mirrors_.end() && known->second.stale;
  if (known == mirrors_.end() || stale || !known->second.mirror->appends()) {
    const bool busy = connection_ != nullptr && connection_->viewer().jobs_out();
    if (known != mirrors_.end() && busy) {
      core_.board().on_mirror_failed(app_.env.now(), act.run);  // a job may still hold it: later
      return;
    }
    std::string put_away;
    if (stale) {
      const auto& began = known->second.began;
      put_away = "mirror-" + std::to_string(began.empty() ? 0 : began.begin()->second.ns);
    }
    mirrors_.erase(act.run);
    tasks_.spawn(open_mirror(act.run, put_away));
    return;
  }
  daemon::MirrorRead read;
  read.have = known->second.mirror->have();
  read.appends = true;
  core_.on_mirror(app_.env.now(), act.run, read);
}
void SiteKeeper::obey(const daemon::StartWatch& act) {
  feed::Viewer::WatchOptions options;
  options.run = act.run;
  options.have = act.have;
  options.live = false;
  const auto kept = mirrors_.find(act.run);
  feed::Mirror* mirror = act.keeps && kept != mirrors_.end() ? kept->second.mirror.get() : nullptr;
  const Time now = app_.env.now();
  if (mirror != nullptr) kept->second.used = now;
  const wire::WatchId watch = connection_->viewer().watch(now, options, mirror);
  watches_[watch] = act.run;
  core_.board().on_watch(act.run, watch);
}
void SiteKeeper::obey(const daemon::EndWatch& act) {
  connection_->viewer().unwatch(app_.env.now(), act.watch);
  watches_.erase(act.watch);
  close_unused();
}
void SiteKeeper::obey(const wire::Steer& act) {
  connection_->viewer().steer(app_.env.now(), act);
}

// The mirrors that were used longest ago, while no job writes one.
void SiteKeeper::close_unused() {
  if (connection_->viewer().jobs_out()) return;
  while (mirrors_.size() > kMirrorsKeptMax) {
    auto oldest = mirrors_.end();
    for (auto at = mirrors_.begin(); at != mirrors_.end(); ++at) {
      if (core_.board().is_busy(at->first)) continue;
      if (oldest == mirrors_.end() || at->second.used < oldest->second.used) oldest = at;
    }
    if (oldest == mirrors_.end()) return;
    mirrors_.erase(oldest);
  }
}

io::Task<> SiteKeeper::open_mirror(std::string run, std::string put_away) {
  const std::string path = app_.home.state + "/runs/" + site_.name + "/" + run;
  Job job{JobId(1), JobClass::kDisk, std::make_unique<OpenMirrorWork>(path, put_away)};
  Job done = co_await app_.env.work(std::move(job));
  const Time now = app_.env.now();
  Result<OpenedMirror>& opened = done.as<OpenMirrorWork>().result;
  if (!opened) {
    LOG(app_.log, kWarn, "{}/{} is not mirrored: {}", site_.name, printable(run, 200),
        opened.error().message());
    core_.board().on_mirror_failed(now, run);
  } else {
    const daemon::MirrorRead read = std::move(opened->reading.read);
    Kept kept{std::move(opened->folder), std::move(opened->mirror), now,
              std::move(opened->reading.began)};
    if (read.appends) mirrors_[run] = std::move(kept);
    core_.on_mirror(now, run, read);
  }
  wake();
}

io::Task<> SiteKeeper::keep_runs() {
  keeping_ = true;
  while (std::exchange(keep_again_, false)) {
    auto work = std::make_unique<KeepListWork>(app_, site_.name, daemon::to_text(core_.list()));
    Job job{JobId(1), JobClass::kDisk, std::move(work)};
    const Job done = co_await app_.env.work(std::move(job));
    const Result<>& kept = done.as<KeepListWork>().result;
    if (!kept) LOG(app_.log, kWarn, "the list of runs is not kept: {}", kept.error().message());
  }
  keeping_ = false;
}

io::Task<> SiteKeeper::end() {
  const Error why = broken_ ? *broken_ : *connection_->ended();
  broken_.reset();
  co_await connection_->close();
  connection_.reset();
  watches_.clear();
  core_.on_ended(app_.env.now(), why, mends(site_, why));
}

io::Task<> SiteKeeper::run() {
  while (!stopping_) {
    ++turns_;
    woken_ = false;
    if (connection_ == nullptr && serves() && core_.begins(app_.env.now())) begin();
    if (connection_ != nullptr) hear();
    if (connection_ != nullptr && (broken_ || connection_->ended())) {
      co_await end();
      continue;
    }
    obey();
    if (woken_ || stopping_) continue;
    const Time now = app_.env.now();
    const Time until = serves() ? core_.next_deadline(now) : now + kUnservedLook;
    if (connection_ != nullptr) {
      co_await connection_->changed(until);
    } else {
      alarm_->set(until);
      co_await alarm_->ring();
    }
  }
  if (connection_ != nullptr) {
    co_await connection_->close();
  }
  connection_.reset();
  core_.on_ended(app_.env.now(), Error(Kind::kInterrupted, "keep the link", "the daemon stops"),
                 false);
  co_await tasks_.join();
  obey();  // what the last task came to
}

}  // namespace longhaul::proxy
