#include "lib/feed/viewer.hpp"

#include <algorithm>

namespace longhaul::feed {

using session::Lane;
using wire::FeedMessage;

namespace {

// Keeps a stretch of history and makes points of it.
class TakeWork final : public Work {
 public:
  TakeWork(wire::History message, Mirror* mirror) : message_(std::move(message)), mirror_(mirror) {}
  void run() override {
    unpacked = unpack_history(message_);
    if (unpacked && mirror_ != nullptr) kept = mirror_->append(message_);
  }
  const wire::History& message() const { return message_; }
  Result<Unpacked> unpacked;
  Result<> kept;

 private:
  const wire::History message_;
  Mirror* const mirror_;
};

// A message names so many attempts; of a run that was begun more often, those with the fewest
// records are left out. What comes of them is here already, and told to nobody.
std::vector<wire::LogPlace> cut_to_fit(std::vector<wire::LogPlace>& have) {
  if (have.size() <= wire::kAttemptsKnownMax) return {};
  std::stable_sort(have.begin(), have.end(),
                   [](const auto& a, const auto& b) { return a.next > b.next; });
  const auto fits = have.begin() + wire::kAttemptsKnownMax;
  std::vector<wire::LogPlace> untold(fits, have.end());
  have.erase(fits, have.end());
  std::sort(have.begin(), have.end(),
            [](const auto& a, const auto& b) { return a.attempt < b.attempt; });
  return untold;
}

}  // namespace

void Viewer::send(Lane lane, const FeedMessage& message) {
  session::Message out;
  out.lane = lane;
  out.body = Slice::copy_of(wire::encode(message));
  queued_.push_back(std::move(out));
}

wire::FeedRequest Viewer::list(Time) {
  const wire::FeedRequest id = std::exchange(next_request_, next_request_.next());
  if (over_) {
    events_.push_back(RunsListed{id, {}, true, Error(Kind::kLink, "list runs", "no session")});
    return id;
  }
  lists_[id];
  send(Lane::kControl, wire::ListRuns{id});
  return id;
}

wire::FeedRequest Viewer::read_output(Time, OutputOptions options) {
  const wire::FeedRequest id = std::exchange(next_request_, next_request_.next());
  wire::ReadOutput read;
  read.request = id;
  read.run = options.run;
  read.offset = options.offset;
  read.from_end = options.from_end;
  read.follow = options.follow;
  if (over_ || !read.run.fits()) {
    const Kind kind = over_ ? Kind::kLink : Kind::kUsage;
    const Error why(kind, "read a run's output", over_ ? "no session" : "no such name");
    events_.push_back(Printed{id, 0, 0, {}, true, why});
    return id;
  }
  readings_[id];
  send(Lane::kDemand, read);
  return id;
}

wire::WatchId Viewer::watch(Time, WatchOptions options, Mirror* mirror) {
  const wire::WatchId id = std::exchange(next_watch_, next_watch_.next());
  wire::Watch watch;
  watch.watch = id;
  watch.run = options.run;
  const std::vector<wire::LogPlace> untold = cut_to_fit(options.have);
  watch.have = wire::List<wire::LogPlace, wire::kAttemptsKnownMax>(options.have);
  watch.past = options.past;
  watch.live = options.live;
  if (over_ || !watch.run.fits()) {
    const Kind kind = over_ ? Kind::kLink : Kind::kUsage;
    events_.push_back(
        Opened{id, Error(kind, "watch a run", over_ ? "no session" : "no such name"), {}});
    return id;
  }
  Watching& watching = watches_[id];
  watching.mirror = mirror;
  watching.past = options.past;
  for (const wire::LogPlace& place : options.have) watching.next[place.attempt] = place.next;
  for (const wire::LogPlace& place : untold) watching.known[place.attempt] = place.next;
  // Not by the control lane: it names what is here of each attempt, and may be long.
  send(Lane::kDemand, watch);
  return id;
}

void Viewer::unwatch(Time, wire::WatchId id) {
  const auto found = watches_.find(id);
  if (found == watches_.end()) return;
  send(Lane::kControl, wire::Unwatch{id});
  drop(found);
}

void Viewer::drop(std::map<wire::WatchId, Watching>::iterator watch) {
  for (const auto& [key, history] : watch->second.early) held_bytes_ -= size_of(history);
  for (const auto& history : watch->second.ready) held_bytes_ -= size_of(history);
  watches_.erase(watch);
}

void Viewer::steer(Time, wire::Steer steer) {
  if (!over_ && watches_.contains(steer.watch)) send(Lane::kControl, steer);
}

std::optional<Event> Viewer::poll_event() {
  if (events_.empty()) return std::nullopt;
  Event event = std::move(events_.front());
  events_.pop_front();
  return event;
}

void Viewer::on_job(Time, Job done) {
  const auto out = jobs_.find(done.id);
  ASSERT(out != jobs_.end());
  held_bytes_ -= out->second.bytes;
  const wire::WatchId id = out->second.watch;
  jobs_.erase(out);
  const auto found = watches_.find(id);
  if (found == watches_.end()) return;
  found->second.taking = false;
  auto& work = done.as<TakeWork>();
  if (!work.unpacked) return broken(work.unpacked.error());
  const wire::History& message = work.message();
  if (!work.kept) {
    found->second.mirror = nullptr;  // said once
    events_.push_back(MirrorFailed{id, work.kept.error()});
  }
  events_.push_back(Took{id, message.attempt, message.after, message.first, message.next,
                         message.offset, std::move(work.unpacked->entries),
                         std::move(work.unpacked->points)});
}

void Viewer::on_end(Time, const Error& why) {
  over_ = true;
  for (const auto& [id, listing] : lists_)
    events_.push_back(RunsListed{id, {}, true, Error(Kind::kLink, "list runs", why.message())});
  lists_.clear();
  for (const auto& [id, reading] : readings_) {
    for (const auto& [number, part] : reading.early) held_bytes_ -= part.bytes.size();
    const Error ended(Kind::kLink, "read a run's output", why.message());
    events_.push_back(Printed{id, 0, 0, {}, true, ended});
  }
  readings_.clear();
  while (!watches_.empty()) drop(watches_.begin());
  queued_.clear();
}

std::optional<session::ServiceOutput> Viewer::poll_output(Time, const session::Room& room) {
  for (auto& [id, watching] : watches_) {
    if (watching.taking || watching.ready.empty()) continue;
    watching.taking = true;
    wire::History history = std::move(watching.ready.front());
    watching.ready.pop_front();
    const JobId job = std::exchange(next_job_, next_job_.next());
    jobs_[job] = {id, size_of(history)};
    return Job{job, JobClass::kDisk,
               std::make_unique<TakeWork>(std::move(history), watching.mirror)};
  }
  for (auto at = queued_.begin(); at != queued_.end(); ++at) {
    if (!room.in(at->lane)) continue;
    session::Message message = std::move(*at);
    queued_.erase(at);
    return message;
  }
  return std::nullopt;
}

void Viewer::check() const {
  std::size_t bytes = 0;
  for (const auto& [id, out] : jobs_) bytes += out.bytes;
  for (const auto& [id, watching] : watches_) {
    for (const auto& [key, history] : watching.early) bytes += size_of(history);
    for (const auto& history : watching.ready) bytes += size_of(history);
  }
  for (const auto& [id, reading] : readings_)
    for (const auto& [number, part] : reading.early) bytes += part.bytes.size();
  ASSERT(bytes == held_bytes_);
}

}  // namespace longhaul::feed
