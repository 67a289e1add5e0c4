// Over datagrams beside over TLS alone: how long a session of each takes for the same bytes.
#pragma once

#include <optional>

#include "lib/io/task.hpp"
#include "proxy/app.hpp"
#include "proxy/sites.hpp"

namespace longhaul::proxy {

struct WayTimes {
  std::optional<Duration> up, down;  // nothing: over a minute
};
struct Comparison {
  std::uint64_t bytes = 0;  // each way
  WayTimes udp, tls;
};
// One after the other, each in a session of its own.
io::Task<Result<Comparison>> compare_ways(App& app, Site site, std::uint64_t bytes);

}  // namespace longhaul::proxy
