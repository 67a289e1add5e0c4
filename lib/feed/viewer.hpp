// Viewer: the laptop's end of the feed: lists runs, watches some, steers them. Its twin is a
// Feeder.
//
//   WatchId id = viewer.watch(now, {.run = "first", .have = mirror->have()}, mirror.get());
//   while (auto event = viewer.poll_event())
//     if (auto* took = std::get_if<Took>(&*event)) ..
//
// History comes in order and without gaps, whatever order the link delivers it in; it is unpacked
// and kept in jobs, one at a time. A session's own strand.
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "lib/feed/history.hpp"
#include "lib/feed/mirror.hpp"
#include "lib/session/service.hpp"

namespace longhaul::feed {

// Of received history that waits for its turn; more is a broken peer. A session's window is
// smaller.
constexpr std::size_t kHistoryHeldMax = 128U << 20;
constexpr std::size_t kPagesHeldMax = 32U << 20;  // of a list's pages, the same
constexpr std::size_t kPartsEarlyMax = 1024;      // of an output, before their turn

struct RunsListed {  // a page; in order
  wire::FeedRequest request;
  std::vector<wire::RunLine> lines;
  bool last = false;
  std::optional<Error> error;  // with the last
};
struct Opened {  // the answer to a watch; with an error it is over, also one that was open
  wire::WatchId watch;
  std::optional<Error> error;
  WallTime site_time;
  // When this attempt began there, the first of those that are here; 0: not known. A run that was
  // removed and begun anew under its name has other times.
  std::uint32_t first = 0;
  WallTime began = {};
};
struct Took {  // the next stretch of an attempt's history
  wire::WatchId watch;
  std::uint32_t attempt = 0;
  std::uint64_t after = 0, first = 0, next = 0;
  std::uint64_t offset = 0;  // of `next` in the log's file
  std::vector<run::LogEntry> entries;
  std::vector<run::Point> points;
};
struct Heard {  // news
  wire::WatchId watch;
  std::uint32_t attempt = 0;
  std::uint64_t recorded = 0;
  WallTime wrote, site_time;
  std::vector<run::LogEntry> entries;
};
struct Fresh {  // newest values
  wire::WatchId watch;
  std::uint32_t attempt = 0;
  std::uint64_t recorded = 0;
  std::vector<wire::LiveValue> values;
};
struct Printed {  // a part of a run's output; in order
  wire::FeedRequest request;
  std::uint64_t offset = 0, size = 0;  // of its first byte; of the file
  Slice bytes;
  bool last = false;
  std::optional<Error> error;  // with the last; kChanged: the file was begun anew
};
struct MirrorFailed {  // it is written no more; what comes is still told
  wire::WatchId watch;
  Error why;
};
struct FeedBroken {  // the peer sent what is no message: the owner ends the session
  Error why;
};
using Event = std::variant<RunsListed, Opened, Took, Heard, Fresh, wire::Steered, Printed,
                           MirrorFailed, FeedBroken>;

class Viewer final : public session::Service {
 public:
  struct WatchOptions {
    std::string run;
    std::vector<wire::LogPlace> have;
    bool past = true, live = true;
  };
  wire::FeedRequest list(Time now);
  struct OutputOptions {
    std::string run;
    std::uint64_t offset = 0;
    bool from_end = false;  // offset counts back from the end
    bool follow = false;
  };
  wire::FeedRequest read_output(Time now, OutputOptions options);
  // mirror: null for none; outlives the viewer and its jobs.
  wire::WatchId watch(Time now, WatchOptions options, Mirror* mirror);
  void unwatch(Time now, wire::WatchId watch);
  // After Opened. The same id again is the same command.
  void steer(Time now, wire::Steer steer);

  std::optional<Event> poll_event();

  void on_message(Time now, session::Lane lane, Slice message) override;
  void on_job(Time now, Job done) override;
  void on_deadline(Time) override {}
  void on_link(Time, session::LinkState) override {}
  void on_end(Time now, const Error& why) override;
  std::optional<session::ServiceOutput> poll_output(Time now, const session::Room& room) override;
  std::optional<Time> next_deadline() const override { return std::nullopt; }
  std::size_t held() const override { return held_bytes_; }
  void check() const override;
  bool jobs_out() const { return !jobs_.empty(); }

 private:
  struct Watching {
    Mirror* mirror = nullptr;
    bool opened = false, past = true, taking = false;
    std::map<std::uint32_t, std::uint64_t> next;   // of each attempt: the record that comes next
    std::map<std::uint32_t, std::uint64_t> known;  // here, although the site was not told so
    std::set<std::uint32_t> attempts;              // that the site named
    // Arrived, by attempt and what it follows.
    std::map<std::pair<std::uint32_t, std::uint64_t>, wire::History> early;
    std::deque<wire::History> ready;
  };
  struct Listing {
    std::uint32_t next = 0;
    std::map<std::uint32_t, wire::RunPage> early;
    std::size_t early_bytes = 0;
  };

  void take(const wire::RunPage& page);
  void take(const wire::Watched& watched);
  void take(const wire::History& history);
  void take(const wire::News& news);
  void take(const wire::Live& live);
  void take(const wire::Steered& steered);
  void take(const wire::OutputPart& part);
  template <class Other>
  void take(const Other& other);  // what only a viewer says
  void broken(Error why);
  // Whether the site may name it; if not, it is broken.
  bool admit(Watching& watching, std::uint32_t attempt);
  void sort(Watching& watching);
  void drop(std::map<wire::WatchId, Watching>::iterator watch);
  void send(session::Lane lane, const wire::FeedMessage& message);

  std::map<wire::WatchId, Watching> watches_;
  std::map<wire::FeedRequest, Listing> lists_;
  struct Reading {
    std::uint64_t next = 0;
    std::map<std::uint64_t, wire::OutputPart> early;
  };
  std::map<wire::FeedRequest, Reading> readings_;
  wire::WatchId next_watch_{1};
  wire::FeedRequest next_request_{1};
  JobId next_job_{1};
  struct JobOut {
    wire::WatchId watch;
    std::size_t bytes = 0;
  };
  std::map<JobId, JobOut> jobs_;
  std::size_t held_bytes_ = 0;
  std::deque<Event> events_;
  std::deque<session::Message> queued_;
  bool over_ = false;
};

}  // namespace longhaul::feed
