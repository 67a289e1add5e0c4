// What a Feeder puts out: jobs first, then what is urgent, then history while its lane has room.
#include <algorithm>

#include "lib/feed/feeder.hpp"

namespace longhaul::feed {

using session::Lane;
using session::Message;
using wire::FeedMessage;

namespace {

Message message_of(Lane lane, const FeedMessage& message, std::uint64_t key = 0) {
  Message out;
  out.lane = lane;
  out.body = Slice::copy_of(wire::encode(message));
  out.key = key;
  return out;
}

}  // namespace

Job Feeder::hand_out(JobOwner owner, JobClass where, std::unique_ptr<Work> work) {
  const JobId id = std::exchange(next_job_, next_job_.next());
  jobs_.emplace(id, owner);
  return Job{id, where, std::move(work)};
}

// When the next stretch of history may be read; nothing: there is none, or one waits to be sent.
std::optional<Time> Feeder::history_at(const Watching& watching) const {
  if (!watching.opened || watching.gone || watching.reading || watching.ready) return std::nullopt;
  for (const auto& [attempt, place] : watching.places) {
    if (place.at_end()) continue;
    const std::uint64_t behind = place.size - place.at.offset;
    return behind >= kGatherBytes ? Time{} : watching.gathered_at + kGather;
  }
  return std::nullopt;
}

std::optional<Job> Feeder::next_job_of(Time now, wire::WatchId id, Watching& watching) {
  if (watching.gone) return std::nullopt;
  if (watching.tail != nullptr && now >= watching.look_at)
    return hand_out(id, JobClass::kDisk, std::make_unique<TailWork>(std::move(watching.tail)));
  const auto at = history_at(watching);
  if (!at || now < *at) return std::nullopt;
  for (const auto& [attempt, place] : watching.places) {
    if (place.at_end()) continue;
    watching.reading = true;
    return hand_out(id, JobClass::kDisk,
                    std::make_unique<HistoryWork>(files_, watching.folder, place.at, place.trust));
  }
  return std::nullopt;
}

std::optional<Job> Feeder::next_job(Time now) {
  if (over_) return std::nullopt;
  if (!steering_.empty()) {
    auto [owner, work] = std::move(steering_.front());
    steering_.pop_front();
    return hand_out(owner, JobClass::kSync, std::move(work));
  }
  // A page is made when the one before it was taken: a list of all runs may be gigabytes.
  const bool page_out = std::any_of(lists_.begin(), lists_.end(),
                                    [](const auto& entry) { return entry.second.work == nullptr; });
  if (!lists_.empty() && !page_out && queued_[static_cast<std::size_t>(Lane::kDemand)].empty()) {
    auto& [id, listing] = *lists_.begin();
    return hand_out(id, JobClass::kDisk, std::move(listing.work));
  }
  for (auto& [id, watching] : watches_)
    if (auto job = next_job_of(now, id, watching)) return job;
  return next_read(now);
}

std::optional<Message> Feeder::next_news(Time now, wire::WatchId id, Watching& watching) {
  if (!watching.opened || !watching.news_due) return std::nullopt;
  wire::News news;
  news.watch = id;
  news.attempt = watching.attempt;
  news.recorded = watching.recorded;
  news.wrote = watching.wrote;
  news.site_time = options_.wall();
  ByteVector frames;
  while (!watching.entries.empty()) {
    const run::LogEntry& entry = watching.entries.front();
    run::LogEncoder encoder(entry.number);
    const ByteVector frame = encoder.frame(entry.record);
    const bool fits = frame.size() <= wire::kNewsFramesMax;  // if not: it stands in the history
    if (fits && frames.size() + frame.size() > wire::kNewsFramesMax) break;
    if (fits) append(frames, frame);
    watching.entry_bytes -= text_bytes(entry);
    watching.entries.pop_front();
  }
  news.frames = Slice::copy_of(frames);
  watching.news_due = !watching.entries.empty();
  watching.news_at = now;
  return message_of(Lane::kDemand, news);
}

// How many records an older attempt has, once its history was read to the end: without it nobody
// there could tell a history that is complete from one whose rest is on its way.
std::optional<Message> Feeder::next_end(wire::WatchId id, Watching& watching) {
  if (!watching.opened) return std::nullopt;
  while (watching.ends_told + 1 < watching.attempt) {
    const auto found = watching.places.find(watching.ends_told + 1);
    if (found != watching.places.end() && !found->second.at_end()) return std::nullopt;
    ++watching.ends_told;
    if (found == watching.places.end()) continue;  // nobody wants it
    wire::News news;
    news.watch = id;
    news.attempt = watching.ends_told;
    news.recorded = found->second.at.next;
    news.wrote = watching.wrote;
    news.site_time = options_.wall();
    return message_of(Lane::kDemand, news);
  }
  return std::nullopt;
}

std::optional<Message> Feeder::next_live(wire::WatchId id, Watching& watching) {
  if (!watching.opened || watching.fresh.empty()) return std::nullopt;
  const std::uint32_t group = watching.fresh.begin()->first;
  wire::Live live;
  live.watch = id;
  live.attempt = watching.attempt;
  live.recorded = watching.recorded;
  live.values = std::move(watching.fresh.begin()->second);
  watching.fresh.erase(watching.fresh.begin());
  return message_of(Lane::kLive, live, id.value() * wire::kLiveGroupsMax + group);
}

std::optional<session::ServiceOutput> Feeder::poll_output(Time now, const session::Room& room) {
  if (auto job = next_job(now)) return std::move(*job);
  if (over_) return std::nullopt;
  for (const Lane lane : {Lane::kControl, Lane::kDemand}) {
    auto& queue = queued_[static_cast<std::size_t>(lane)];
    if (queue.empty() || !room.in(lane)) continue;
    Message message;
    message.lane = lane;
    message.body = std::move(queue.front());
    queued_bytes_ -= cost_of(message.body);
    queue.pop_front();
    return message;
  }
  if (room.in(Lane::kDemand))
    if (auto part = next_part()) return std::move(*part);
  for (auto& [id, watching] : watches_) {
    if (watching.gone) continue;
    if (room.in(Lane::kDemand)) {
      if (auto news = next_news(now, id, watching)) return std::move(*news);
      if (auto end = next_end(id, watching)) return std::move(*end);
    }
    if (room.in(Lane::kLive))
      if (auto live = next_live(id, watching)) return std::move(*live);
    if (watching.ready && room.in(Lane::kBackfill)) {
      const FeedMessage history(*std::exchange(watching.ready, std::nullopt));
      return message_of(Lane::kBackfill, history);
    }
  }
  return std::nullopt;
}

std::optional<Time> Feeder::next_deadline() const {
  std::optional<Time> due;
  const auto sooner = [&due](Time time) { due = due ? std::min(*due, time) : time; };
  if (over_) return due;
  for (const auto& [id, watching] : watches_) {
    if (watching.gone) continue;
    if (watching.tail != nullptr) sooner(watching.look_at);
    if (const auto at = history_at(watching)) sooner(*at);
  }
  for (const auto& [id, reading] : readings_)
    if (!reading.out && !reading.ready) sooner(reading.look_at);
  return due;
}

// A small message costs more than its bytes.
std::size_t Feeder::cost_of(const Slice& body) {
  return body.size() + 256;
}

// Of a record that is no points, roughly.
std::size_t Feeder::text_bytes(const run::LogEntry& entry) {
  constexpr std::size_t kRecord = 256;
  if (const auto* event = std::get_if<run::RunEvent>(&entry.record))
    return kRecord + event->text.size() + event->who.size();
  if (const auto* start = std::get_if<run::Start>(&entry.record))
    return kRecord + start->config.size();
  return kRecord;
}

}  // namespace longhaul::feed
