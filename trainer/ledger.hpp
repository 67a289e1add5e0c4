// Ledger: where a run's wall time went. At any moment exactly one column is open, so the columns
// sum to the wall time by construction; what nobody claimed is kOther, and that should stay small.
// `now` is an argument. The training thread.
//
//   ledger.enter(Column::kData, now());  .. wait for the batch ..
//   ledger.enter(Column::kCompute, now());
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <string_view>

#include "lib/base/units.hpp"

namespace longhaul::trainer {

enum class Column : std::uint8_t {
  kCompute,     // forward, backward, optimizer, evaluation
  kData,        // waiting for the next batch, while none was ready
  kReport,      // handing over metrics
  kCheckpoint,  // snapshots, and waits for an earlier one to be on disk
  kSync,        // waiting for other ranks
  kControl,     // polling for and acting on commands and signals; pauses
  kOther,
};
inline constexpr std::size_t kColumns = 7;
std::string_view name_of(Column column);

class Ledger {
 public:
  explicit Ledger(Time now) : began_(now), since_(now) {}
  Column enter(Column column, Time now) {  // returns the one that was open
    const Column before = open_;
    spent_[static_cast<std::size_t>(open_)] += now - since_;
    longest_[static_cast<std::size_t>(open_)] =
        std::max(longest_[static_cast<std::size_t>(open_)], now - since_);
    open_ = column;
    since_ = now;
    return before;
  }
  Duration spent(Column column) const { return spent_[static_cast<std::size_t>(column)]; }
  Duration longest(Column column) const { return longest_[static_cast<std::size_t>(column)]; }
  Duration wall() const { return since_ - began_; }  // up to the last enter()

 private:
  Time began_, since_;
  Column open_ = Column::kOther;
  std::array<Duration, kColumns> spent_{}, longest_{};
};

}  // namespace longhaul::trainer
