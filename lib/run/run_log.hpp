// The run log: what one attempt of a run recorded, in order, as an append-only file of framed and
// checksummed records in the run's folder (docs/run.md, "Run log"). Points, marks and the
// applications of commands stand in the one sequence that everything else follows from: history
// is sent from it, resumes are judged by it, controls are re-applied from it.
//
// Each record has a number, counted from 0 over the attempt; (run, attempt, number) names it for
// good. A frame that tore in a crash ends at the last whole one; a rotted frame in the middle is
// skipped and counted, never guessed.
//
//   LogEncoder log;                          // a writer
//   file.append(log.frame(start));           // one frame a call; then maybe fdatasync
//   LogDecoder reader;                       // a reader, in any split
//   reader.feed(bytes);
//   while (auto entry = reader.next()) use(*entry);
#pragma once

#include <optional>
#include <string_view>
#include <variant>
#include <vector>

#include "lib/run/point.hpp"
#include "lib/run/ring.hpp"
#include "lib/wire/codec.hpp"

namespace longhaul::run {

constexpr std::size_t kLogBodyMax = 1U << 20;  // bytes of a frame behind its head
constexpr std::size_t kLogPointsMax = 32'768;  // points of a frame
constexpr std::size_t kLogHeadBytes = 20;
constexpr std::size_t kEventTextMax = 64U << 10;

// The first record of an attempt.
struct Start {
  std::uint32_t attempt = 1;
  WallTime at;
  std::uint64_t process = 0;
  wire::Text<255> host;
  wire::Text<kEventTextMax> config;  // JSON: what the run was started with
  template <class F>
  static void fields(F& f) {
    f(&Start::attempt, "attempt", "from 1");
    f(&Start::at, "at");
    f(&Start::process, "process", "pid");
    f(&Start::host, "host");
    f(&Start::config, "config", "JSON");
  }
};

struct NameSeries {
  SeriesId id;
  wire::Text<kSeriesNameMax> name;
  template <class F>
  static void fields(F& f) {
    f(&NameSeries::id, "id");
    f(&NameSeries::name, "name");
  }
};

enum class EventKind : std::uint8_t {
  kMark = 1,        // a note of the training program or a person
  kApplied = 2,     // command `id` took effect at `step`
  kExpired = 3,     // command `id` came too late
  kRefused = 4,     // command `id` made no sense here
  kCheckpoint = 5,  // a checkpoint of `step` is whole; text: its folder
  kResumed = 6,     // training goes on from `step`; text: the checkpoint's folder
  kWarning = 7,
};
constexpr auto wire_values(EventKind) {
  using wire::Known;
  return std::array{Known{EventKind::kMark, "mark"},
                    Known{EventKind::kApplied, "applied"},
                    Known{EventKind::kExpired, "expired"},
                    Known{EventKind::kRefused, "refused"},
                    Known{EventKind::kCheckpoint, "checkpoint"},
                    Known{EventKind::kResumed, "resumed"},
                    Known{EventKind::kWarning, "warning"}};
}

struct RunEvent {
  EventKind kind = EventKind::kMark;
  std::uint64_t step = 0;
  WallTime at;
  std::uint64_t id = 0;  // of the command; 0: none
  wire::Text<255> who;   // who sent the command; empty: the program itself
  wire::Text<kEventTextMax> text;
  template <class F>
  static void fields(F& f) {
    f(&RunEvent::kind, "kind");
    f(&RunEvent::step, "step");
    f(&RunEvent::at, "at");
    f(&RunEvent::id, "id", "of the command; 0: none");
    f(&RunEvent::who, "who", "sent the command");
    f(&RunEvent::text, "text");
  }
};

struct Drops {  // points that rings turned away so far, but for the newest of each series
  std::uint64_t points = 0;
  template <class F>
  static void fields(F& f) {
    f(&Drops::points, "points", "since the attempt began");
  }
};

struct End {  // the program ended its run by itself
  WallTime at;
  wire::Text<255> why;
  template <class F>
  static void fields(F& f) {
    f(&End::at, "at");
    f(&End::why, "why");
  }
};

// Where the points of a frame came from, so that a later drainer neither loses nor doubles any.
struct Taken {
  std::uint32_t ring = 0;
  std::uint64_t end = 0;  // records of the ring before this one are in the log
  template <class F>
  static void fields(F& f) {
    f(&Taken::ring, "ring");
    f(&Taken::end, "end", "its records before this one are in the log");
  }
};
struct TakenKept {
  std::uint32_t ring = 0, slot = 0;
  std::uint64_t version = 0;
  template <class F>
  static void fields(F& f) {
    f(&TakenKept::ring, "ring");
    f(&TakenKept::slot, "slot");
    f(&TakenKept::version, "version");
  }
};

// Each point is a record of its own: a frame of n points takes n numbers.
struct Points {
  std::vector<Taken> taken;
  std::vector<TakenKept> kept;
  std::vector<Point> points;
};

using LogRecord = std::variant<Start, NameSeries, Points, RunEvent, Drops, End>;

struct LogEntry {
  std::uint64_t number = 0;  // of the record; of the first point
  LogRecord record;
};

class LogEncoder {
 public:
  // Goes on where LogDecoder stopped: the number of the next record.
  explicit LogEncoder(std::uint64_t next = 0) : next_(next) {}
  // A whole frame. Points: at most kLogPointsMax.
  ByteVector frame(const LogRecord& record);
  std::uint64_t next() const { return next_; }

 private:
  std::uint64_t next_;
};

// Takes the bytes of a log from its beginning, or from any frame's, in any split. After a damaged
// stretch it goes on at the next frame whose checks hold.
class LogDecoder {
 public:
  void feed(Bytes more);
  // The next whole record; nothing: feed more.
  std::optional<LogEntry> next();
  // Bytes up to the end of the last whole frame, damaged stretches before it included. A writer
  // that goes on after a crash cuts the file here.
  std::uint64_t whole_bytes() const { return whole_; }
  std::uint64_t next_number() const { return next_; }
  std::uint64_t damaged_bytes() const { return damaged_; }

 private:
  std::size_t left() const { return bytes_.size() - at_; }
  void skip_to_magic(std::size_t from);

  ByteVector bytes_;
  std::size_t at_ = 0;
  std::uint64_t base_ = 0;  // where bytes_ begins in the log
  std::uint64_t whole_ = 0, next_ = 0, damaged_ = 0;
};

}  // namespace longhaul::run
