// StageClock: where the time of a transfer goes: for each stage of the work how long it was busy,
// on however many threads. It reads no clock of its own: the program gives one. Any thread; a null
// one costs nothing, so that cores and tests need none.
//
//   const StageClock::Span span(stages, WorkStage::kHash);   // until the end of the block
//
// A span costs two reads of the clock and two uncontended locks, about 0.2 us: put it around a
// chunk, not around a byte. A stage entered again within itself on one thread counts twice in
// `spent`.
#pragma once

#include <array>
#include <cstdint>
#include <mutex>
#include <string_view>

#include "lib/base/units.hpp"

namespace longhaul {

enum class WorkStage : std::uint8_t {
  kRead,   // files: open, read, list
  kChunk,  // find where to cut
  kHash,
  kCodec,  // compress here, decompress there
  kTls,    // seal and open
  kWrite,  // files: make, write, rename, set times
  kSync,   // wait until a disk has it
};
constexpr std::array<std::string_view, 7> kWorkStageNames{"read", "chunk", "hash", "codec",
                                                          "tls",  "write", "sync"};

class StageClock {
 public:
  using Now = Duration (*)();  // never goes back; any thread may ask
  explicit StageClock(Now now) : now_(now) {}
  StageClock(const StageClock&) = delete;
  StageClock& operator=(const StageClock&) = delete;

  class Span {
   public:
    Span(StageClock* clock, WorkStage stage) : clock_(clock), stage_(stage) {
      if (clock_ != nullptr) began_ = clock_->enter(stage_);
    }
    ~Span() {
      if (clock_ != nullptr) clock_->leave(stage_, began_);
    }
    Span(const Span&) = delete;
    Span& operator=(const Span&) = delete;

   private:
    StageClock* clock_;
    WorkStage stage_;
    Duration began_{};
  };

  struct Figures {
    Duration busy{};   // while at least one thread was in it
    Duration spent{};  // the sum over all threads
  };
  Figures at(WorkStage stage) const;

 private:
  struct Meter {
    mutable std::mutex mutex;
    unsigned inside = 0;
    Duration since{};  // while inside > 0
    Figures figures;
  };
  Duration enter(WorkStage stage);
  void leave(WorkStage stage, Duration began);
  Meter& meter(WorkStage stage) { return meters_[static_cast<std::size_t>(stage)]; }

  const Now now_;
  std::array<Meter, kWorkStageNames.size()> meters_;
};

}  // namespace longhaul
