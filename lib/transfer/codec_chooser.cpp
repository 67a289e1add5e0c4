#include "lib/transfer/codec_chooser.hpp"

namespace longhaul::transfer {

using compression::Codec;

compression::Ladder& CodecChooser::ladder_of(std::uint32_t row, std::uint64_t file_bytes) {
  const bool large = file_bytes >= kLargeFile;
  const std::uint32_t key = large ? row : kSmall;
  if (const auto found = ladders_.find(key); found != ladders_.end()) return found->second;
  if (ladders_.size() >= kLaddersMax) ladders_.erase(ladders_.begin());
  compression::DataTraits traits;
  // Large files may be tensors or tokens of two bytes: the probe tells. Small ones hardly are.
  if (large) traits.plane_bytes = 2;
  return ladders_.emplace(key, compression::Ladder(traits)).first->second;
}

compression::Rung CodecChooser::choose(std::uint32_t row, std::uint64_t file_bytes,
                                       BytesPerSecond link) {
  compression::Ladder& ladder = ladder_of(row, file_bytes);
  const compression::Conditions conditions{link, cores_};
  if (const auto probe = ladder.next_probe(conditions)) return *probe;
  return ladder.choose(conditions).rung;
}

void CodecChooser::on_measured(std::uint32_t row, std::uint64_t file_bytes,
                               const compression::Measured& measured) {
  ladder_of(row, file_bytes).on_measured(measured);
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
