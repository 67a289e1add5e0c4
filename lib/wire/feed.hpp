// Messages that show and steer runs: who says what when stands in docs/feed.md, byte tables in
// docs/wire.md. Records of a run log travel as the log's own frames (docs/run.md, "Run log"), its
// points as segments (docs/run.md, "Segment"), so that what arrives is checked by the same code.
//
//   ByteVector bytes = encode(FeedMessage(watch));
//   FeedMessage back = TRY(decode<FeedMessage>(slice));
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <variant>

#include "lib/wire/codec.hpp"
#include "lib/wire/kind.hpp"

namespace longhaul::wire {

using WatchId = Id<struct WatchTag>;            // chosen by the watcher, rising
using FeedRequest = Id<struct FeedRequestTag>;  // the same

constexpr std::size_t kRunNameMax = 200;
constexpr std::size_t kRunReasonMax = 400;
constexpr std::size_t kRunConfigMax = 16U << 10;
constexpr std::size_t kRunLinesMax = 64;   // of a page
constexpr std::size_t kRunValuesMax = 16;  // of a line
constexpr std::size_t kAttemptsKnownMax = 4096;
constexpr std::size_t kHistoryFramesMax = 1U << 20;
constexpr std::size_t kHistorySegmentMax = 2U << 20;
constexpr std::size_t kNewsFramesMax = 64U << 10;
constexpr std::size_t kOutputPartMax = 64U << 10;
constexpr std::size_t kLiveGroupMax = 64;    // series of one live message
constexpr std::size_t kLiveGroupsMax = 128;  // of one watch: newest values of 8,192 series

struct ListRuns {
  FeedRequest request;
  template <class F>
  static void fields(F& f) {
    f(&ListRuns::request, "request");
  }
};

enum class RunState : std::uint8_t {
  kRunning = 1,  // it wrote lately
  kSilent = 2,   // it did not, and has not said that it ended
  kEnded = 3,    // by itself
};
constexpr auto wire_values(RunState) {
  return std::array{Known{RunState::kRunning, "running"}, Known{RunState::kSilent, "silent"},
                    Known{RunState::kEnded, "ended"}};
}

struct NamedValue {
  Text<247> series;
  std::uint64_t step = 0;
  double value = 0;
  template <class F>
  static void fields(F& f) {
    f(&NamedValue::series, "series");
    f(&NamedValue::step, "step");
    f(&NamedValue::value, "value");
  }
};

struct RunLine {
  Text<kRunNameMax> name;
  RunState state = RunState::kSilent;
  std::uint32_t attempts = 0;
  std::uint64_t last_step = 0;
  WallTime began, wrote;
  Text<255> host, why;
  Text<kRunConfigMax> config;
  List<NamedValue, kRunValuesMax> values;
  template <class F>
  static void fields(F& f) {
    f(&RunLine::name, "name");
    f(&RunLine::state, "state");
    f(&RunLine::attempts, "attempts");
    f(&RunLine::last_step, "last_step", "of the newest attempt");
    f(&RunLine::began, "began", "the newest attempt");
    f(&RunLine::wrote, "wrote", "last, by the file's time there");
    f(&RunLine::host, "host");
    f(&RunLine::why, "why", "it ended");
    f(&RunLine::config, "config", "JSON; empty if it is longer than this");
    f(&RunLine::values, "values", "the newest; losses first");
  }
};

struct RunPage {
  FeedRequest request;
  std::uint32_t number = 0;
  List<RunLine, kRunLinesMax> lines;
  bool last = false;
  std::optional<Kind> failed;
  Text<kRunReasonMax> text;
  template <class F>
  static void fields(F& f) {
    f(&RunPage::request, "request");
    f(&RunPage::number, "number", "from 0");
    f(&RunPage::lines, "lines");
    f(&RunPage::last, "last", "nothing follows this number");
    f(&RunPage::failed, "failed", "the request");
    f(&RunPage::text, "text", "why");
  }
};

// How far into an attempt's log somebody is.
struct LogPlace {
  std::uint32_t attempt = 0;
  std::uint64_t next = 0;
  std::uint64_t offset = 0;
  template <class F>
  static void fields(F& f) {
    f(&LogPlace::attempt, "attempt");
    f(&LogPlace::next, "next", "number of the first record not here");
    f(&LogPlace::offset, "offset", "in the log's file, where that record begins; a hint");
  }
};

struct Watch {
  WatchId watch;
  Text<kRunNameMax> run;
  List<LogPlace, kAttemptsKnownMax> have;
  bool past = true;
  bool live = true;
  template <class F>
  static void fields(F& f) {
    f(&Watch::watch, "watch");
    f(&Watch::run, "run");
    f(&Watch::have, "have", "rising; of other attempts nothing");
    f(&Watch::past, "past", "false: of attempts not named, only what is written from now on");
    f(&Watch::live, "live", "newest values are wanted, too");
  }
};

struct Watched {
  WatchId watch;
  std::optional<Kind> failed;
  Text<kRunReasonMax> text;
  WallTime site_time;
  List<LogPlace, kAttemptsKnownMax> from;
  std::uint32_t first = 0;
  WallTime began;
  template <class F>
  static void fields(F& f) {
    f(&Watched::watch, "watch");
    f(&Watched::failed, "failed", "the watch is over, also one that was open");
    f(&Watched::text, "text", "why");
    f(&Watched::site_time, "site_time", "by the site's clock");
    f(&Watched::from, "from", "where the history of each attempt begins; of later ones at 0");
    f(&Watched::first, "first", "the oldest attempt that `have` named; 0: none, or not readable");
    f(&Watched::began, "began", "that attempt, as its log says");
  }
};

struct Unwatch {
  WatchId watch;
  template <class F>
  static void fields(F& f) {
    f(&Unwatch::watch, "watch");
  }
};

struct History {
  WatchId watch;
  std::uint32_t attempt = 0;
  std::uint64_t after = 0;
  std::uint64_t first = 0;
  std::uint64_t next = 0;
  std::uint64_t offset = 0;
  Payload<kHistoryFramesMax> frames;
  Payload<kHistorySegmentMax> segment;
  template <class F>
  static void fields(F& f) {
    f(&History::watch, "watch");
    f(&History::attempt, "attempt");
    f(&History::after, "after", "`next` of the message before it");
    f(&History::first, "first",
      "number of its first record; more than after: what was between rotted");
    f(&History::next, "next", "number behind its last record");
    f(&History::offset, "offset", "where that one begins in the log's file");
    f(&History::frames, "frames", "of the records that are no points, as in a run log");
    f(&History::segment, "segment", "of the points; empty: none");
  }
};

// What cannot wait for its turn in the history.
struct News {
  WatchId watch;
  std::uint32_t attempt = 0;
  std::uint64_t recorded = 0;
  WallTime wrote, site_time;
  Payload<kNewsFramesMax> frames;
  template <class F>
  static void fields(F& f) {
    f(&News::watch, "watch");
    f(&News::attempt, "attempt", "the newest; or an older one, whose history was read to the end");
    f(&News::recorded, "recorded", "records of its log so far");
    f(&News::wrote, "wrote", "last, by the file's time there");
    f(&News::site_time, "site_time", "by the site's clock");
    f(&News::frames, "frames", "new records that are no points; they stand in the history, too");
  }
};

struct LiveValue {
  std::uint32_t series = 0;
  std::uint64_t step = 0;
  WallTime at;
  double value = 0;
  template <class F>
  static void fields(F& f) {
    f(&LiveValue::series, "series");
    f(&LiveValue::step, "step");
    f(&LiveValue::at, "at", "it was logged");
    f(&LiveValue::value, "value");
  }
};

struct Live {  // key: watch and group
  WatchId watch;
  std::uint32_t attempt = 0;
  std::uint64_t recorded = 0;
  List<LiveValue, kLiveGroupMax> values;
  template <class F>
  static void fields(F& f) {
    f(&Live::watch, "watch");
    f(&Live::attempt, "attempt", "the newest");
    f(&Live::recorded, "recorded", "records of its log when these were the newest");
    f(&Live::values, "values", "of series whose number / 64 is the same, rising");
  }
};

struct Steer {
  WatchId watch;
  Fixed<std::uint64_t> id;
  std::uint8_t kind = 0;
  Text<63> name;
  double value = 0;
  WallTime expires;
  template <class F>
  static void fields(F& f) {
    f(&Steer::watch, "watch");
    f(&Steer::id, "id", "random, not 0; the same when it is sent again");
    f(&Steer::kind, "kind", "run::CommandKind");
    f(&Steer::name, "name", "of the parameter");
    f(&Steer::value, "value");
    f(&Steer::expires, "expires", "by the site's clock; 0: never");
  }
};

enum class SteerState : std::uint8_t {
  kReceived = 1,  // it waits, durable, in the run's folder
  kApplied = 2,
  kExpired = 3,
  kRefused = 4,  // by the training program, or because it makes no sense
  kDenied = 5,   // this peer may not
};
constexpr auto wire_values(SteerState) {
  return std::array{Known{SteerState::kReceived, "received"},
                    Known{SteerState::kApplied, "applied"}, Known{SteerState::kExpired, "expired"},
                    Known{SteerState::kRefused, "refused"}, Known{SteerState::kDenied, "denied"}};
}

struct Steered {
  WatchId watch;
  Fixed<std::uint64_t> id;
  SteerState state = SteerState::kReceived;
  std::uint32_t attempt = 0;
  std::uint64_t step = 0;
  WallTime at;
  Text<kRunReasonMax> text;
  template <class F>
  static void fields(F& f) {
    f(&Steered::watch, "watch");
    f(&Steered::id, "id");
    f(&Steered::state, "state");
    f(&Steered::attempt, "attempt", "0: not known yet");
    f(&Steered::step, "step", "from which on it is in effect, or at which it was turned away");
    f(&Steered::at, "at", "by the site's clock");
    f(&Steered::text, "text", "for people");
  }
};

// A run's output is whatever its program printed, as the file that its start script wrote.
struct ReadOutput {
  FeedRequest request;
  Text<kRunNameMax> run;
  std::uint64_t offset = 0;
  bool from_end = false;
  bool follow = false;
  template <class F>
  static void fields(F& f) {
    f(&ReadOutput::request, "request");
    f(&ReadOutput::run, "run");
    f(&ReadOutput::offset, "offset", "bytes before the first wanted; from_end: before the end");
    f(&ReadOutput::from_end, "from_end", "offset counts back from the end of the file as it is");
    f(&ReadOutput::follow, "follow", "go on with what is written later");
  }
};

struct OutputPart {
  FeedRequest request;
  std::uint64_t number = 0;
  std::uint64_t offset = 0;
  std::uint64_t size = 0;
  Payload<kOutputPartMax> bytes;
  bool last = false;
  std::optional<Kind> failed;
  Text<kRunReasonMax> text;
  template <class F>
  static void fields(F& f) {
    f(&OutputPart::request, "request");
    f(&OutputPart::number, "number", "from 0");
    f(&OutputPart::offset, "offset", "of its first byte in the file");
    f(&OutputPart::size, "size", "of the file");
    f(&OutputPart::bytes, "bytes");
    f(&OutputPart::last, "last", "nothing follows this number");
    f(&OutputPart::failed, "failed", "changed: the file is shorter now than what was read of it");
    f(&OutputPart::text, "text", "why");
  }
};

using FeedMessage = std::variant<ListRuns, RunPage, Watch, Watched, Unwatch, History, News, Live,
                                 Steer, Steered, ReadOutput, OutputPart>;

}  // namespace longhaul::wire
