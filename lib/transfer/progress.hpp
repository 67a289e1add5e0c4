// Progress: what one transfer has done, how fast it goes, when it will end and what holds it back.
// Values for the live line and --json; nothing here decides anything. Lives on the session's
// strand.
//
// Rate is logical bytes (settled by arriving, by a local copy or by being there already) over the
// last four seconds, so that it does not jump with each block. The limit is the stage that took
// most of the recent time: a sender asks itself at every output why it cannot send more (see
// Sender::stage()).
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

#include "lib/base/units.hpp"

namespace longhaul::transfer {

enum class Stage : std::uint8_t {
  kDisk,     // reading, or writing and syncing at the far end
  kCpu,      // hashing, compressing
  kLink,     // the lane is full: the link is the limit, as it should be
  kPeer,     // waiting for an answer
  kRateCap,  // --limit-rate
};
constexpr std::size_t kStageCount = 5;
std::string_view name_of(Stage stage);  // "disk", "CPU", "link", "peer", "rate cap"

// Bytes per second over a sliding window of sixteen quarter seconds.
class RateMeter {
 public:
  void add(Time now, std::uint64_t bytes);
  BytesPerSecond rate(Time now) const;

 private:
  static constexpr std::int64_t kSlotNs = 250'000'000;
  static constexpr std::size_t kSlots = 16;
  struct Slot {
    std::int64_t number = -1;
    std::uint64_t bytes = 0;
  };
  std::array<Slot, kSlots> slots_{};
  std::optional<std::int64_t> first_slot_;
};

// Which stage took most of the recent time; older time counts half every two seconds.
class StageMeter {
 public:
  void enter(Time now, Stage stage);  // from now on this stage is the limit
  Stage limit(Time now) const;
  Duration spent(Stage stage) const { return total_[static_cast<std::size_t>(stage)]; }

 private:
  void settle(Time now);
  std::array<std::uint64_t, kStageCount> recent_ns_{};
  std::array<Duration, kStageCount> total_{};
  Stage current_ = Stage::kPeer;
  std::optional<Time> since_;
  Time halved_{};
};

struct Progress {
  std::uint64_t files_total = 0, files_done = 0;
  std::uint64_t bytes_total = 0;    // of file content; grows while the source is still being walked
  std::uint64_t bytes_done = 0;     // settled at the receiver, as far as this end knows
  std::uint64_t bytes_present = 0;  // of those: were already at the receiver
  std::uint64_t bytes_raw = 0;      // content handed to the link before compression
  std::uint64_t bytes_wire = 0;     // what that became
  std::uint64_t bytes_manifest = 0;  // sender: what the names took, of every attempt
  bool totals_final = false;
  bool link_up = true;
  BytesPerSecond rate;  // logical, see above
  BytesPerSecond wire_rate;
  std::optional<Duration> remaining;  // nullopt: not known yet, or stalled
  Stage limit = Stage::kPeer;

  double share() const {  // 0..1 for a bar
    return bytes_total == 0 ? 0.0
                            : static_cast<double>(bytes_done) / static_cast<double>(bytes_total);
  }
};

// Fills rate-dependent fields from the meters.
void complete(Progress& progress, Time now, const RateMeter& logical, const RateMeter& wire,
              const StageMeter& stages);

}  // namespace longhaul::transfer
