// RunBoard: which runs of a site are mirrored now, and how far each is. Runs that are at work, runs
// whose log grew since they were last whole here, and runs that somebody asks for are watched, at
// most kWatchesMax at a time, the newest first; the others wait. A value; the owner of the session
// does what next() says.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "lib/feed/viewer.hpp"
#include "proxy/daemon/run_lines.hpp"

namespace longhaul::daemon {

constexpr std::size_t kWatchesMax = 32;  // of the 64 that a session may have
// Of a run, and of all: what is beyond is in the mirrors, and not on the board.
constexpr std::size_t kAttemptsBoardMax = wire::kAttemptsKnownMax;
constexpr std::size_t kAttemptsOfAllMax = 100'000;
constexpr Duration kAskedFor = std::chrono::seconds(30);
constexpr Duration kBoardRetry = std::chrono::seconds(5);  // a mirror that another process keeps
constexpr Duration kBoardMend = std::chrono::minutes(1);   // a disk or site that refuses

// What a mirror on the disk holds.
struct MirrorRead {
  std::vector<wire::LogPlace> have;
  std::map<std::uint32_t, std::uint64_t> steps;  // the newest of each attempt
  // What became of commands.
  std::vector<std::pair<std::uint32_t, run::RunEvent>> decided;
  bool appends = false;  // nobody else does
};

struct OpenMirror {  // also without a link: on_mirror() or on_mirror_failed() follows
  std::string run;
};
struct StartWatch {  // the owner tells on_watch()
  std::string run;
  std::vector<wire::LogPlace> have;
  bool keeps = true;  // into the mirror; else another process keeps it, and an order waits here
};
struct EndWatch {
  std::string run;
  wire::WatchId watch;
};
using BoardStep = std::variant<OpenMirror, StartWatch, EndWatch>;

struct RunMarks {
  std::uint32_t attempt = 0;             // the newest
  std::uint64_t recorded = 0, here = 0;  // records of it
  std::uint64_t live_step = 0, complete_step = 0;
  bool kept = false;      // there is a mirror
  bool watched = false;   // and it grows now
  bool complete = false;  // watched, and all that was recorded is in the mirror
  WallTime wrote;         // there, as far as is known
  WallTime heard;         // here: the last word of it; zero: none
};

class RunBoard {
 public:
  void on_list(Time now, const std::vector<wire::RunLine>& runs);
  void on_mirror(Time now, const std::string& run, const MirrorRead& read);
  void on_mirror_failed(Time now, const std::string& run);
  void on_watch(const std::string& run, wire::WatchId watch);
  // Of a watch of ours. Returns the run it tells of.
  std::optional<std::string> on_event(Time now, WallTime wall, const feed::Event& event);
  void on_session_lost(Time now);
  void ask(Time now, const std::string& run);                // somebody wants to know
  void hold(Time now, const std::string& run, bool wanted);  // orders wait for it
  std::optional<BoardStep> next(Time now, bool up);
  // When next() has something to say at the latest, if nothing comes first.
  std::optional<Time> next_deadline(bool up) const;

  // nullopt: never heard of.
  std::optional<RunMarks> marks(const std::string& run) const;
  const std::optional<Error>* refusal(const std::string& run) const;  // kNotFound: the site says so
  // The open watch of a run, and the site's clock when it was opened.
  struct OpenWatch {
    wire::WatchId watch;
    WallTime site_time, wall;
    bool complete = false;  // all that was recorded has been heard
  };
  std::optional<OpenWatch> open_watch(const std::string& run) const;
  bool is_listed(const std::string& run) const;
  std::size_t attempts() const { return attempts_; }
  bool is_busy(const std::string& run) const { return busy_.contains(run); }  // its mirror is used
  std::vector<std::string> names() const;
  std::size_t watched() const;

 private:
  enum class Phase : std::uint8_t { kIdle, kOpening, kReady, kAsked, kOpen };
  struct Attempt {
    std::uint64_t next = 0, offset = 0, recorded = 0, step = 0;
    bool told = false;  // in this watch: `recorded` is what the site says
  };
  struct Run {
    std::optional<wire::RunLine> line;
    Phase phase = Phase::kIdle;
    wire::WatchId watch;
    bool keeps = false, kept = false, held = false;
    WallTime site_time, opened, wrote, settled, heard;
    Time not_before{}, asked_until{};
    std::map<std::uint32_t, Attempt> attempts;
    bool beyond = false;  // there are more of them: never complete
    std::optional<Error> refused;
  };
  using Runs = std::map<std::string, Run>;
  static bool asked(const Run& run, Time now) { return run.held || run.asked_until > now; }
  static bool due(const Run& run, Time now);
  static bool complete(const Run& run);
  void move_to(Runs::value_type& entry, Phase phase);
  void free_slot(Time now, Runs::value_type& entry);
  Attempt* attempt_of(Run& run, std::uint32_t number);  // nullptr: there are too many
  void forget_attempts(Run& run);
  std::optional<BoardStep> next_of(Time now, Runs::value_type& entry);
  std::optional<BoardStep> pick(Time now, bool up);
  Runs::value_type* by_watch(wire::WatchId watch);
  Runs::iterator best(Time now);

  // A site may have 10,000 runs: what comes of one touches the few that are busy.
  Runs runs_;
  std::set<std::string> busy_;                    // not idle: at most kWatchesMax
  std::map<wire::WatchId, std::string> watches_;  // asked for or open
  std::size_t attempts_ = 0;                      // of all runs
  bool look_ = false;                             // something of a busy one changed
  std::optional<Time> pick_at_;  // the choice of the next ones is worth a look then
};

}  // namespace longhaul::daemon
