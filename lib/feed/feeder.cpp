#include "lib/feed/feeder.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "lib/base/escape.hpp"
#include "lib/feed/run_files.hpp"

namespace longhaul::feed {

using session::Lane;
using wire::FeedMessage;

namespace {

// Puts a command into the run's folder, durable, where its training program looks for it.
class SteerWork final : public Work {
 public:
  SteerWork(store::Files& files, store::TreeName folder, run::Command command)
      : files_(files), folder_(std::move(folder)), command_(std::move(command)) {}
  void run() override {
    if (auto done = put(); !done) error = done.error();
  }
  std::optional<Error> error;

 private:
  Result<> put() {
    const auto control = TRY(folder_.child("control"));
    if (auto made = files_.make_folder(control); !made && made.error().kind() != Kind::kExists)
      return fail(made.error());
    TRY(files_.sync_folder(folder_));  // also where a killed process made it
    const auto name = TRY(control.child(fmt::format("{:016x}.cmd", command_.id)));
    return store::write_whole(files_, name, run::command_file(command_));
  }
  store::Files& files_;
  const store::TreeName folder_;
  const run::Command command_;
};

std::optional<wire::SteerState> verdict_of(run::EventKind kind) {
  switch (kind) {
    case run::EventKind::kApplied:
      return wire::SteerState::kApplied;
    case run::EventKind::kExpired:
      return wire::SteerState::kExpired;
    case run::EventKind::kRefused:
      return wire::SteerState::kRefused;
    default:
      return std::nullopt;
  }
}

std::string cut(std::string text, std::size_t most) {
  if (text.size() > most) text.resize(most);
  return text;
}

}  // namespace

Feeder::Feeder(store::Files& files, FeederOptions options)
    : files_(files), options_(std::move(options)) {}
Feeder::~Feeder() = default;

void Feeder::on_message(Time now, Lane, Slice message) {
  if (over_) return;
  auto decoded = wire::decode<FeedMessage>(message);
  if (!options_.understood)
    decoded =
        fail(Kind::kUnsupported, "serve runs", "the laptop's longhaul is older than the site's");
  if (decoded) return std::visit([&](const auto& one) { take(now, one); }, *decoded);
  if (!broken_) broken_ = decoded.error();
}

template <class Other>
void Feeder::take(Time, const Other&) {
  if (!broken_)
    broken_ = Error(Kind::kMalformed, "serve runs", "the peer sent what only a site says");
}

void Feeder::take(Time, const wire::ListRuns& list) {
  if (options_.may_watch && lists_.size() < kListsMax && !lists_.contains(list.request)) {
    lists_[list.request].work = std::make_unique<RunListWork>(files_, options_.wall());
    return;
  }
  wire::RunPage page;
  page.request = list.request;
  page.last = true;
  page.failed = options_.may_watch ? Kind::kBusy : Kind::kAuth;
  page.text = options_.may_watch ? "too many such requests" : "this node's role does not allow it";
  queue(Lane::kDemand, page);
}

void Feeder::queue(Lane lane, const FeedMessage& message) {
  Slice body = Slice::copy_of(wire::encode(message));
  if (queued_bytes_ + cost_of(body) > kAnswersMax) {
    if (!broken_)
      broken_ = Error(Kind::kLimit, "serve runs", "the peer asks on and takes no answers");
    return;
  }
  queued_bytes_ += cost_of(body);
  queued_[static_cast<std::size_t>(lane)].push_back(std::move(body));
}

void Feeder::refuse(wire::WatchId id, Kind kind, std::string text) {
  wire::Watched watched;
  watched.watch = id;
  watched.failed = kind;
  watched.text = cut(std::move(text), wire::kRunReasonMax);
  watched.site_time = options_.wall();
  queue(Lane::kDemand, watched);
}

void Feeder::take(Time now, const wire::Watch& watch) {
  if (!options_.may_watch)
    return refuse(watch.watch, Kind::kAuth, "this node's role does not allow it");
  const auto folder = run_folder(watch.run);
  if (!folder) return refuse(watch.watch, folder.error().kind(), folder.error().why());
  if (watches_.size() >= kWatchesMax) return refuse(watch.watch, Kind::kBusy, "too many watches");
  if (watches_.contains(watch.watch)) {
    if (!broken_) broken_ = Error(Kind::kMalformed, "serve runs", "a watch began twice");
    return;
  }
  Watching& watching = watches_[watch.watch];
  watching.folder = *folder;
  watching.past = watch.past;
  watching.live = watch.live;
  for (const wire::LogPlace& place : watch.have)
    if (place.attempt > 0 && place.attempt <= kAttemptsMax)
      watching.places[place.attempt] = {place, 0, HistoryWork::Trust::kPeers};
  const std::uint32_t first = watching.places.empty() ? 0 : watching.places.begin()->first;
  watching.tail = std::make_unique<Tail>(files_, *folder, first);
  watching.look_at = watching.quiet_since = now;
}

void Feeder::take(Time, const wire::Unwatch& unwatch) {
  if (const auto found = watches_.find(unwatch.watch); found != watches_.end())
    found->second.gone = true;
  forget_gone();
}

void Feeder::answer(const wire::Steered& steered) {
  queue(Lane::kControl, steered);
}

void Feeder::take(Time, const wire::Steer& steer) {
  const auto found = watches_.find(steer.watch);
  if (found == watches_.end()) return;  // it was refused, and the peer is told so
  Watching& watching = found->second;
  wire::Steered steered;
  steered.watch = steer.watch;
  steered.id = steer.id;
  steered.at = options_.wall();
  if (!options_.may_steer) {
    steered.state = wire::SteerState::kDenied;
    steered.text = "this node may only look: ask the site's owner for an invite with --role owner";
    return answer(steered);
  }
  if (const auto decided = watching.decided.find(steer.id.value);
      decided != watching.decided.end()) {
    steered = decided->second;
    steered.watch = steer.watch;
    return answer(steered);
  }
  run::Command command;
  command.id = steer.id.value;
  command.kind = static_cast<run::CommandKind>(steer.kind);
  command.name = steer.name;
  command.value = steer.value;
  command.who = cut(options_.who, 255);
  command.expires = steer.expires;
  steered.state = wire::SteerState::kRefused;
  if (!watching.opened) {  // there may be no such run
    steered.text = "the watch is not open yet";
    return answer(steered);
  }
  const auto kinds = wire_values(run::CommandKind{});
  const bool is_known = std::any_of(kinds.begin(), kinds.end(), [&command](const auto& known) {
    return known.value == command.kind;
  });
  if (!is_known || !run::parse_command(run::shown(command)) || command.id == 0) {
    steered.text = "that is no command";
    return answer(steered);
  }
  if (command.expires.ns != 0 && command.expires < options_.wall()) {
    steered.state = wire::SteerState::kExpired;
    steered.text = "it came too late";
    return answer(steered);
  }
  if (watching.steering.size() >= run::kCommandsPendingMax) {
    steered.text = "too many commands wait";
    return answer(steered);
  }
  watching.steering.insert(command.id);
  steering_.emplace_back(SteerJob{steer.watch, command.id},
                         std::make_unique<SteerWork>(files_, watching.folder, command));
}

void Feeder::on_job(Time now, Job done) {
  const auto found = jobs_.find(done.id);
  ASSERT(found != jobs_.end());
  const JobOwner owner = found->second;
  jobs_.erase(found);
  if (over_) return;
  if (const auto* request = std::get_if<wire::FeedRequest>(&owner)) {
    (void)done.as<RunListWork>();
    listed(*request, std::unique_ptr<RunListWork>(static_cast<RunListWork*>(done.work.release())));
  } else if (const auto* steer = std::get_if<SteerJob>(&owner)) {
    const auto& work = done.as<SteerWork>();
    wire::Steered steered;
    steered.watch = steer->watch;
    steered.id = {steer->id};
    steered.at = options_.wall();
    if (work.error) {
      steered.state = wire::SteerState::kRefused;
      steered.text = cut(printable(work.error->message()), wire::kRunReasonMax);
    }
    const auto watching = watches_.find(steer->watch);
    if (watching == watches_.end()) return;
    if (work.error) watching->second.steering.erase(steer->id);
    // A verdict may have been told before this job came back.
    if (!watching->second.decided.contains(steer->id)) answer(steered);
  } else if (const auto* read = std::get_if<ReadJob>(&owner)) {
    read_done(now, read->request, done.as<OutputWork>());
  } else if (done.is<TailWork>()) {
    tail_done(now, std::get<wire::WatchId>(owner), done.as<TailWork>());
  } else {
    history_done(now, std::get<wire::WatchId>(owner), done.as<HistoryWork>());
  }
  forget_gone();
}

void Feeder::listed(wire::FeedRequest id, std::unique_ptr<RunListWork> work) {
  const auto found = lists_.find(id);
  if (found == lists_.end()) return;
  wire::RunPage page;
  page.request = id;
  page.number = found->second.number++;
  page.lines = wire::List<wire::RunLine, wire::kRunLinesMax>(std::move(work->lines));
  page.last = work->last;
  if (work->error) {
    page.failed = work->error->kind();
    page.text = cut(printable(work->error->message()), wire::kRunReasonMax);
  }
  queue(Lane::kDemand, page);
  if (page.last)
    lists_.erase(found);
  else
    found->second.work = std::move(work);
}

// Whatever its size was when it was looked at last.
void Feeder::read_to_end(Place& place) {
  place.size = std::numeric_limits<std::uint64_t>::max();
  place.stuck = false;
}

void Feeder::tail_done(Time now, wire::WatchId id, TailWork& work) {
  Watching& watching = watches_.at(id);
  watching.tail = std::move(work.tail);
  if (work.error) {
    if (!watching.opened || work.error->kind() == Kind::kChanged) {
      refuse(id, work.error->kind(),
             work.error->why().empty() ? work.error->message() : work.error->why());
      watching.gone = true;
      return;
    }
    watching.look_at = now + kLookQuiet;  // the file system may be back later
    return;
  }
  Tail& tail = *watching.tail;
  if (!watching.opened) open(id, watching, tail);
  if (tail.grew()) watching.quiet_since = now;
  watching.look_at = now + (now - watching.quiet_since < kQuietAfter ? kLookEvery : kLookQuiet);
  if (tail.attempt() != watching.attempt) {
    // What came last to the one before may have been seen by nobody yet.
    if (const auto before = watching.places.find(watching.attempt); before != watching.places.end())
      read_to_end(before->second);
    watching.attempt = tail.attempt();
    watching.fresh.clear();
    watching.news_due = true;
  }
  if (tail.recorded() != watching.recorded && now - watching.news_at >= kNewsEvery)
    watching.news_due = true;
  watching.recorded = tail.recorded();
  watching.wrote = tail.wrote();
  for (run::LogEntry& entry : tail.take_entries()) {
    note(id, watching, entry);
    watching.entry_bytes += text_bytes(entry);
    watching.entries.push_back(std::move(entry));
    while (watching.entries.size() > kEntriesWaiting || watching.entry_bytes > kEntryBytesWaiting) {
      watching.entry_bytes -= text_bytes(watching.entries.front());
      watching.entries.pop_front();
    }
    watching.news_due = true;
  }
  if (watching.live) {
    for (auto& [group, values] : tail.take_fresh()) watching.fresh[group] = std::move(values);
  }
  for (const auto& [attempt, size] : tail.sizes()) {
    const bool known = watching.places.contains(attempt);
    Place& place = watching.places[attempt];
    if (!known) place.at.attempt = attempt;
    if (size != place.size) place.stuck = false;
    place.size = size;
  }
}

// The first look at a run: where its history begins.
void Feeder::open(wire::WatchId id, Watching& watching, const Tail& tail) {
  watching.opened = true;
  watching.news_due = true;
  wire::Watched watched;
  watched.watch = id;
  watched.site_time = options_.wall();
  watched.first = tail.began() ? tail.first() : 0;
  watched.began = tail.began().value_or(WallTime());
  for (std::uint32_t attempt = 1; attempt <= tail.attempt(); ++attempt) {
    const bool known = watching.places.contains(attempt);
    if (!known && !watching.past && attempt < tail.attempt()) continue;
    Place& place = watching.places[attempt];
    place.at.attempt = attempt;
    if (!known && !watching.past) {
      place.at.next = tail.recorded();
      place.at.offset = tail.offset();
    }
    read_to_end(place);
    if (watched.from.size() < wire::kAttemptsKnownMax) watched.from.push_back(place.at);
  }
  queue(Lane::kDemand, watched);
}

// What became of a command: its sender is told at once, whoever that was is told later, too.
void Feeder::note(wire::WatchId id, Watching& watching, const run::LogEntry& entry) {
  const auto* event = std::get_if<run::RunEvent>(&entry.record);
  if (event == nullptr || event->id == 0) return;
  const auto state = verdict_of(event->kind);
  if (!state) return;
  wire::Steered steered;
  steered.watch = id;
  steered.id = {event->id};
  steered.state = *state;
  steered.attempt = watching.attempt;
  steered.step = event->step;
  steered.at = event->at;
  steered.text = cut(event->text, wire::kRunReasonMax);
  if (watching.decided.size() < kCommandsKnownMax) watching.decided.emplace(event->id, steered);
  if (watching.steering.erase(event->id) > 0) answer(steered);
}

void Feeder::history_done(Time now, wire::WatchId id, HistoryWork& work) {
  Watching& watching = watches_.at(id);
  watching.reading = false;
  Place& place = watching.places[work.after.attempt];
  const bool moved = work.after.offset != place.at.offset;
  place.at = work.after;
  place.trust = HistoryWork::Trust::kOurs;
  if (work.error || (!moved && !work.message)) place.stuck = true;
  if (!work.message) return;
  watching.gathered_at = now;
  watching.ready = std::move(*work.message);
  watching.ready->watch = id;
}

void Feeder::on_deadline(Time) {}  // what is due is found in poll_output()
void Feeder::on_link(Time, session::LinkState) {}

void Feeder::on_end(Time, const Error&) {
  over_ = true;
  watches_.clear();
  lists_.clear();
  readings_.clear();
  steering_.clear();
  for (auto& lane : queued_) lane.clear();
  queued_bytes_ = 0;
}

void Feeder::forget_gone() {
  for (auto at = watches_.begin(); at != watches_.end();) {
    const Watching& watching = at->second;
    const bool idle = watching.tail != nullptr && !watching.reading;
    at = watching.gone && idle ? watches_.erase(at) : std::next(at);
  }
}

void Feeder::check() const {
  std::size_t bytes = 0;
  for (const auto& lane : queued_)
    for (const Slice& body : lane) bytes += cost_of(body);
  ASSERT(bytes == queued_bytes_);
  ASSERT(watches_.size() <= kWatchesMax && lists_.size() <= kListsMax);
  ASSERT(readings_.size() <= kReadingsMax);
  for (const auto& [id, watching] : watches_) {
    ASSERT(watching.fresh.size() <= wire::kLiveGroupsMax);
    ASSERT(!(watching.reading && watching.ready));
  }
}

}  // namespace longhaul::feed
