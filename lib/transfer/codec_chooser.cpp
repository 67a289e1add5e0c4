#include "lib/transfer/codec_chooser.hpp"

#include <algorithm>
#include <utility>

namespace longhaul::transfer {

using compression::Codec;

CodecChooser::Kind& CodecChooser::kind_of(std::uint32_t row, std::uint64_t file_bytes) {
  const bool large = file_bytes >= kLargeFile;
  const std::uint32_t key = large ? row : kSmall;
  ++asked_;
  if (const auto found = kinds_.find(key); found != kinds_.end()) {
    found->second.asked = asked_;
    return found->second;
  }
  compression::DataTraits traits;
  // Large files may be tensors or tokens of two bytes: the probe tells. Small ones hardly are.
  if (large) traits.plane_bytes = 2;
  const auto like = large ? kinds_.find(last_large_) : kinds_.end();
  Kind made{like != kinds_.end() && like->first != kSmall ? like->second.ladder.for_the_like()
                                                          : compression::Ladder(traits)};
  made.asked = asked_;
  if (kinds_.size() >= kLaddersMax)
    kinds_.erase(std::min_element(kinds_.begin(), kinds_.end(), [](const auto& a, const auto& b) {
      return a.second.asked < b.second.asked;
    }));
  return kinds_.emplace(key, std::move(made)).first->second;
}

CodecChooser::Chosen CodecChooser::choose(std::uint32_t row, std::uint64_t file_bytes,
                                          BytesPerSecond link, Needs needs) {
  Kind& kind = kind_of(row, file_bytes);
  const compression::Conditions conditions{link, needs.cores_are_busy ? 1 : cores_};
  auto probe = kind.ladder.next_probe(conditions);
  if (probe && probe->level > compression::kMinZstdLevel) {
    // Many files may have begun before the first of them had tried anything.
    const auto like = kinds_.find(last_large_);
    if (file_bytes >= kLargeFile && like != kinds_.end() && like->first != kSmall &&
        kind.ladder.take_levels_of(like->second.ladder))
      probe = kind.ladder.next_probe(conditions);
  }
  if (probe) {
    // Level 1 is never slow, and the first blocks have nothing better.
    if (probe->level == compression::kMinZstdLevel) return {*probe, false};
    if (!needs.at_once && !needs.cores_are_busy && !kind.trial) {
      kind.trial = *probe;
      return {*probe, true};
    }
  }
  return {kind.ladder.choose(conditions).rung, false};
}

void CodecChooser::on_lost(std::uint32_t row, compression::Rung rung) {
  for (const std::uint32_t key : {row, kSmall})
    if (const auto found = kinds_.find(key); found != kinds_.end() && found->second.trial == rung)
      found->second.trial.reset();
}

void CodecChooser::on_measured(std::uint32_t row, std::uint64_t file_bytes,
                               const compression::Measured& measured) {
  Kind& kind = kind_of(row, file_bytes);
  kind.ladder.on_measured(measured);
  if (kind.trial == measured.rung) kind.trial.reset();
  if (file_bytes >= kLargeFile) last_large_ = row;
}

Duration CodecChooser::nominal_cpu(compression::Rung rung, std::uint64_t in_bytes) {
  std::uint64_t bytes_per_us = 0;
  switch (rung.codec) {
    case Codec::kRaw:
      bytes_per_us = 5000;
      break;
    case Codec::kZstd:
      bytes_per_us = 400 / static_cast<std::uint64_t>(rung.level);
      break;
    default:
      bytes_per_us = 335;
      break;
  }
  return Duration(
      static_cast<std::int64_t>(in_bytes * 1000 / (bytes_per_us == 0 ? 1 : bytes_per_us)));
}

}  // namespace longhaul::transfer
