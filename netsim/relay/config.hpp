// What a relay does: a link, how its modelled TCP behaves, and faults of streams. As text it takes
// every key of netsim/settings.hpp and, besides,
//
//   window=64MiB          receive window of the modelled TCP       congestion=cubic|reno|none
//   slice=none|64B/10ms   at most so many bytes at once            limit=none|1MB[,reset]
//   slow-close=2s         the end of a stream comes later          blackhole=yes|no
//
// where the last four take up. and down. like the others. Pure.
#pragma once

#include <array>
#include <span>
#include <string>

#include "netsim/relay/outlet.hpp"
#include "netsim/relay/tcp_model.hpp"
#include "netsim/settings.hpp"

namespace netsim::relay {

struct RelayConfig {
  LinkConfig link;
  TcpModelOptions tcp;
  std::array<StreamFaults, 2> faults;  // by Direction
  auto operator<=>(const RelayConfig&) const = default;
};

Result<RelayConfig> with(const RelayConfig& base, std::span<const Assignment> assignments,
                         const TraceFiles& files = {});
std::string to_json(const RelayConfig& config);  // one line; the settings that differ from nothing
std::span<const KeyHelp> relay_key_help();       // the keys above

}  // namespace netsim::relay
