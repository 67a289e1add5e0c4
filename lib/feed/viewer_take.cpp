// What a Viewer makes of its twin's messages.
#include "lib/base/escape.hpp"
#include "lib/feed/run_files.hpp"
#include "lib/feed/viewer.hpp"

namespace longhaul::feed {

using session::Lane;
using wire::FeedMessage;

namespace {

std::size_t size_of(const wire::RunPage& page) {
  std::size_t bytes = 512;
  for (const wire::RunLine& line : page.lines)
    bytes += 512 + line.config.size() + line.values.size() * sizeof(wire::NamedValue);
  return bytes;
}

}  // namespace

void Viewer::on_message(Time, Lane, Slice message) {
  if (over_) return;
  const auto decoded = wire::decode<FeedMessage>(message);
  if (!decoded) return broken(decoded.error());
  std::visit([&](const auto& one) { take(one); }, *decoded);
}

void Viewer::broken(Error why) {
  events_.push_back(FeedBroken{std::move(why)});
}

bool Viewer::admit(Watching& watching, std::uint32_t attempt) {
  if (watching.attempts.contains(attempt)) return true;
  if (attempt > kAttemptsMax) {
    broken(Error(Kind::kMalformed, "watch the run", "no run has such an attempt"));
    return false;
  }
  if (watching.attempts.size() >= kAttemptsHeldMax) {
    broken(Error(Kind::kLimit, "watch the run", "it has too many attempts"));
    return false;
  }
  watching.attempts.insert(attempt);
  return true;
}

template <class Other>
void Viewer::take(const Other&) {
  broken(Error(Kind::kMalformed, "watch runs", "the site sent what only a laptop says"));
}

void Viewer::take(const wire::RunPage& page) {
  const auto found = lists_.find(page.request);
  if (found == lists_.end()) return broken(Error(Kind::kMalformed, "list runs", "nobody asked"));
  Listing& listing = found->second;
  if (page.number < listing.next || !listing.early.emplace(page.number, page).second)
    return broken(Error(Kind::kMalformed, "list runs", "a page came twice"));
  listing.early_bytes += size_of(page);
  if (listing.early_bytes > kPagesHeldMax)
    return broken(Error(Kind::kLimit, "list runs", "its pages have gaps"));
  while (!listing.early.empty() && listing.early.begin()->first == listing.next) {
    const wire::RunPage next = std::move(listing.early.begin()->second);
    listing.early.erase(listing.early.begin());
    listing.early_bytes -= size_of(next);
    ++listing.next;
    RunsListed listed{page.request, next.lines, next.last, std::nullopt};
    drop_impossible(listed.lines);
    if (next.failed) listed.error = Error(*next.failed, "list runs", printable(next.text));
    events_.push_back(std::move(listed));
    if (!next.last) continue;
    lists_.erase(found);
    return;
  }
}

void Viewer::take(const wire::Watched& watched) {
  const auto found = watches_.find(watched.watch);
  if (found == watches_.end()) return;  // it was ended meanwhile
  Opened opened{watched.watch, std::nullopt, watched.site_time, watched.first, watched.began};
  if (watched.failed) {
    opened.error = Error(*watched.failed, "watch the run", printable(watched.text));
    events_.push_back(std::move(opened));
    return drop(found);
  }
  Watching& watching = found->second;
  watching.opened = true;
  for (const wire::LogPlace& place : watched.from) watching.next.emplace(place.attempt, place.next);
  events_.push_back(std::move(opened));
  sort(watching);
}

void Viewer::take(const wire::History& history) {
  const auto found = watches_.find(history.watch);
  if (found == watches_.end()) return;
  Watching& watching = found->second;
  if (!admit(watching, history.attempt)) return;
  held_bytes_ += size_of(history);
  const auto key = std::pair(history.attempt, history.after);
  if (!watching.early.emplace(key, history).second) {
    held_bytes_ -= size_of(history);
    return broken(Error(Kind::kMalformed, "watch the run", "a stretch of its history came twice"));
  }
  if (held_bytes_ > kHistoryHeldMax)
    return broken(Error(Kind::kLimit, "watch the run", "its history has gaps"));
  sort(watching);
}

// Moves what follows on what is here to its turn.
void Viewer::sort(Watching& watching) {
  if (!watching.opened) return;
  for (bool any = true; any;) {
    any = false;
    for (auto at = watching.early.begin(); at != watching.early.end();) {
      std::uint64_t& next = watching.next[at->first.first];  // of an attempt that begins now: 0
      if (at->first.second != next) {
        ++at;
        continue;
      }
      next = at->second.next;
      const auto known = watching.known.find(at->first.first);
      if (known != watching.known.end() && next <= known->second)
        held_bytes_ -= size_of(at->second);
      else
        watching.ready.push_back(std::move(at->second));
      at = watching.early.erase(at);
      any = true;
    }
  }
}

void Viewer::take(const wire::News& news) {
  const auto found = watches_.find(news.watch);
  if (found == watches_.end() || !admit(found->second, news.attempt)) return;
  auto entries = unpack_frames(news.frames.bytes());
  if (!entries) return broken(entries.error());
  events_.push_back(Heard{news.watch, news.attempt, news.recorded, news.wrote, news.site_time,
                          *std::move(entries)});
}

void Viewer::take(const wire::Live& live) {
  const auto found = watches_.find(live.watch);
  if (found == watches_.end() || !admit(found->second, live.attempt)) return;
  events_.push_back(Fresh{live.watch, live.attempt, live.recorded, live.values});
}

void Viewer::take(const wire::Steered& steered) {
  if (watches_.contains(steered.watch)) events_.push_back(steered);
}

void Viewer::take(const wire::OutputPart& part) {
  const auto found = readings_.find(part.request);
  if (found == readings_.end())
    return broken(Error(Kind::kMalformed, "read a run's output", "nobody asked"));
  Reading& reading = found->second;
  if (part.number < reading.next || reading.early.size() >= kPartsEarlyMax ||
      !reading.early.emplace(part.number, part).second)
    return broken(Error(Kind::kMalformed, "read a run's output", "a part came twice"));
  held_bytes_ += part.bytes.size();
  while (!reading.early.empty() && reading.early.begin()->first == reading.next) {
    const wire::OutputPart next = std::move(reading.early.begin()->second);
    reading.early.erase(reading.early.begin());
    held_bytes_ -= next.bytes.size();
    ++reading.next;
    Printed printed{part.request, next.offset, next.size, next.bytes, next.last, std::nullopt};
    if (next.failed) printed.error = Error(*next.failed, "read the output", printable(next.text));
    events_.push_back(std::move(printed));
    if (!next.last) continue;
    for (const auto& [number, late] : reading.early) held_bytes_ -= late.bytes.size();
    readings_.erase(found);
    return;
  }
}

}  // namespace longhaul::feed
