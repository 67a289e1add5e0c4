// Demand: which chunks of a dataset on its way are read next, as whoever reads it tells the
// streamer: one small file for each reader, replaced whole, in .longhaul/demand/DATASET
// (docs/store.md). A hint and nothing more: it decides in which order a push arrives, never what; a
// file that is damaged, or of a reader that is gone, costs order. What is published needs none, so
// a publish removes them all.
#pragma once

#include "lib/store/version.hpp"

namespace longhaul::store {

constexpr std::size_t kDemandChunksMax = 16384;  // of a reader, and of all together; the rest waits
constexpr std::size_t kDemandReadersMax = 256;   // more are not looked at
constexpr std::size_t kDemandReaderNameMax = 96;  // bytes

struct Demand {
  std::vector<ChunkId> chunks;  // soonest first; none: the manifest is waited for
  std::uint32_t urgent = 0;     // so many of them hold the reader up, or soon will
  bool operator==(const Demand&) const = default;
};

TreeName demand_folder(const DatasetName& dataset);
ByteVector to_bytes(const Demand& demand);
Result<Demand> parse_demand(Bytes file);  // kMalformed, kLimit, kIntegrity

// What all readers want, each one's first before anyone's second; nothing if there is no reader.
std::optional<Demand> read_demand(Files& files, const DatasetName& dataset);
void forget_demand(Files& files, const DatasetName& dataset);

}  // namespace longhaul::store
