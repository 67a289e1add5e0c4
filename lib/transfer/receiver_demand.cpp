// The receiver's readers: what somebody here reads already is told to the sender, so that it comes
// first.
#include "lib/transfer/receiver.hpp"

namespace longhaul::transfer {

static_assert(store::kDemandChunksMax == wire::kDemandChunksMax);

// The seal overtakes segments.
bool Receiver::manifest_is_here() const {
  return seal_ && next_segment_ == seal_->segments && !reader_lent_;
}

void Receiver::look_at_demand(Time now) {
  demand_due_.reset();
  if (state_ != State::kReceiving || looking_ || !peer_knows_demand_) return;
  if (!sink_->may_be_read()) return;
  if (manifest_is_here() && chunks_.pending() == 0) return;
  looking_ = true;
  demand_due_ = now + kDemandLookEvery;
  give(JobClass::kDisk, std::make_unique<DemandWork>(sink_));
}

void Receiver::take_demand(Time now, DemandWork& work) {
  looking_ = false;
  if (ended()) return;
  if (!demand_due_ || *demand_due_ < now) demand_due_ = now + kDemandLookEvery;
  if (state_ != State::kReceiving || !work.demand || work.demand == demand_) return;
  wire::Demand demand;
  demand.transfer = id_;
  demand.attempt = attempt_;
  bool all_named = true;
  for (std::size_t i = 0; i < work.demand->chunks.size(); ++i) {
    const auto number = chunks_.first_of(work.demand->chunks[i]);
    all_named = all_named && number.has_value();
    if (!number || chunks_.at(*number).state != ChunkTable::State::kMissing) continue;
    const bool goes_on =
        !demand.runs.empty() && demand.runs.back().first + demand.runs.back().count == *number;
    if (!goes_on && demand.runs.size() == wire::kBlockRunsMax) break;
    if (goes_on)
      ++demand.runs.back().count;
    else
      demand.runs.push_back({*number, 1});
    if (i < work.demand->urgent) ++demand.urgent;
  }
  // Of a manifest that is still coming, what it lacks is looked for again.
  if (all_named || manifest_is_here()) demand_ = std::move(work.demand);
  if (demand.runs.empty() && std::exchange(manifest_asked_, true)) return;
  manifest_asked_ = true;
  post_.message(session::Lane::kDemand,
                Slice::copy_of(wire::encode(wire::TransferMessage(demand))));
}

}  // namespace longhaul::transfer
