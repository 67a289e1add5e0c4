// Feeder: the site's end of the feed: it answers what runs there are, shows those that are watched,
// and passes commands on to their training programs. Its twin is a Viewer.
//
// Newest first: what is new is told as news and live values, on lanes that pass every backlog; the
// history follows on its own lane, pulled at the link's pace, one message read ahead. Whatever the
// watcher names as held is not sent again. A session's own strand; all reading is in jobs.
//
// The files and whatever `wall` reads outlive it and its jobs.
#pragma once

#include <array>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "lib/feed/history.hpp"
#include "lib/feed/output_work.hpp"
#include "lib/feed/run_list.hpp"
#include "lib/feed/tail.hpp"
#include "lib/run/command.hpp"
#include "lib/session/service.hpp"
#include "lib/wire/feed.hpp"

namespace longhaul::feed {

constexpr std::size_t kWatchesMax = 64;  // of a session; more are refused
constexpr std::size_t kListsMax = 16;    // at once
// Answers that a peer has not taken. More is a peer that asks on, on the control lane, which knows
// no credit, and takes nothing: it is broken.
constexpr std::size_t kAnswersMax = 16U << 20;
constexpr std::size_t kReadingsMax = 16;         // of outputs, at once
constexpr Duration kOutputLook = 100ms;          // at an output that is followed, while it is quiet
constexpr std::size_t kCommandsKnownMax = 4096;  // verdicts remembered, of a watch
// A training program writes its log every 20 ms; one that has been quiet is looked at less often.
constexpr Duration kLookEvery = 20ms;
constexpr Duration kLookQuiet = 200ms;
constexpr Duration kQuietAfter = 10s;
// So long points are gathered into one history message, unless many came.
constexpr Duration kGather = 500ms;
constexpr std::uint64_t kGatherBytes = 256U << 10;  // of the log
// For news; older ones stand in the history only.
constexpr std::size_t kEntriesWaiting = 16'384, kEntryBytesWaiting = 4U << 20;
constexpr Duration kNewsEvery = 1s;  // at the latest, while the run writes

struct FeederOptions {
  bool may_watch = true;
  bool may_steer = true;
  bool understood = true;  // the peer's build reads what this one says
  std::string who;         // the peer, for marks
  std::function<WallTime()> wall;
};

class Feeder final : public session::Service {
 public:
  Feeder(store::Files& files, FeederOptions options);
  ~Feeder() override;

  void on_message(Time now, session::Lane lane, Slice message) override;
  void on_job(Time now, Job done) override;
  void on_deadline(Time now) override;
  void on_link(Time now, session::LinkState state) override;
  void on_end(Time now, const Error& why) override;
  std::optional<session::ServiceOutput> poll_output(Time now, const session::Room& room) override;
  std::optional<Time> next_deadline() const override;
  // A message is used up at once, but its answer waits here: a peer that asks on and takes no
  // answer gets no credit for more.
  std::size_t held() const override { return queued_bytes_; }
  void check() const override;

  // Why the peer is none, once: the owner ends the session.
  std::optional<Error> take_broken() { return std::exchange(broken_, std::nullopt); }

 private:
  struct Place {  // of an attempt's log
    wire::LogPlace at;
    std::uint64_t size = 0;  // of the file, when it was last looked at
    HistoryWork::Trust trust = HistoryWork::Trust::kOurs;  // in at.offset
    bool stuck = false;                                    // nothing whole was there beyond `at`
    bool at_end() const { return stuck || size <= at.offset; }
  };
  struct Watching {
    store::TreeName folder;
    bool past = true, live = true, opened = false, gone = false;
    std::map<std::uint32_t, Place> places;  // by attempt
    std::unique_ptr<Tail> tail;             // null while it is in a job
    bool reading = false;                   // a HistoryWork is out
    std::optional<wire::History> ready;
    Time look_at{}, quiet_since{}, gathered_at{}, news_at{};
    bool news_due = false;
    std::uint32_t ends_told = 0;  // of this attempt and older ones it was told how far they go
    std::uint32_t attempt = 0;    // of what follows; as the tail saw it last
    std::uint64_t recorded = 0;
    WallTime wrote;
    std::deque<run::LogEntry> entries;
    std::size_t entry_bytes = 0;                 // of their texts
    std::map<std::uint32_t, Tail::Group> fresh;  // live groups that changed
    std::set<std::uint64_t> steering;            // commands of this peer that were not yet decided
    std::map<std::uint64_t, wire::Steered> decided;
  };
  struct Listing {
    std::unique_ptr<RunListWork> work;  // null while it is out
    std::uint32_t number = 0;
  };
  struct SteerJob {
    wire::WatchId watch;
    std::uint64_t id = 0;
  };
  struct ReadJob {
    wire::FeedRequest request;
  };
  using JobOwner = std::variant<wire::WatchId, wire::FeedRequest, SteerJob, ReadJob>;
  struct Reading {  // of a run's output
    store::TreeName folder;
    OutputPlace place;
    bool follow = false, out = false;  // out: its job is
    std::uint64_t number = 0;          // of the next part
    Time look_at{};
    std::optional<wire::OutputPart> ready;
  };

  void take(Time now, const wire::ListRuns& list);
  void take(Time now, const wire::Watch& watch);
  void take(Time now, const wire::Unwatch& unwatch);
  void take(Time now, const wire::Steer& steer);
  void take(Time now, const wire::ReadOutput& read);
  template <class Other>
  void take(Time now, const Other& other);  // what only a feeder says

  static std::size_t cost_of(const Slice& body);
  static std::size_t text_bytes(const run::LogEntry& entry);
  void queue(session::Lane lane, const wire::FeedMessage& message);
  void refuse(wire::WatchId id, Kind kind, std::string text);
  void answer(const wire::Steered& steered);
  void tail_done(Time now, wire::WatchId id, TailWork& work);
  static void read_to_end(Place& place);
  void open(wire::WatchId id, Watching& watching, const Tail& tail);
  void note(wire::WatchId id, Watching& watching, const run::LogEntry& entry);
  void history_done(Time now, wire::WatchId id, HistoryWork& work);
  void listed(wire::FeedRequest id, std::unique_ptr<RunListWork> work);

  void read_done(Time now, wire::FeedRequest id, OutputWork& work);
  std::optional<Job> next_read(Time now);
  std::optional<session::Message> next_part();

  std::optional<Job> next_job(Time now);
  std::optional<Job> next_job_of(Time now, wire::WatchId id, Watching& watching);
  std::optional<Time> history_at(const Watching& watching) const;
  Job hand_out(JobOwner owner, JobClass where, std::unique_ptr<Work> work);
  std::optional<session::Message> next_news(Time now, wire::WatchId id, Watching& watching);
  std::optional<session::Message> next_end(wire::WatchId id, Watching& watching);
  std::optional<session::Message> next_live(wire::WatchId id, Watching& watching);
  void forget_gone();

  store::Files& files_;
  const FeederOptions options_;
  std::map<wire::WatchId, Watching> watches_;
  std::map<wire::FeedRequest, Listing> lists_;
  std::map<wire::FeedRequest, Reading> readings_;
  std::deque<std::pair<JobOwner, std::unique_ptr<Work>>> steering_;
  std::map<JobId, JobOwner> jobs_;
  JobId next_job_{1};
  std::array<std::deque<Slice>, session::kLaneCount> queued_;
  std::size_t queued_bytes_ = 0;  // with what each costs besides
  std::optional<Error> broken_;
  bool over_ = false;
};

}  // namespace longhaul::feed
