// Figures: what a probe found, each with the interval in which the truth lies with 95 % confidence,
// as far as its samples can say. Values; text of them for people is the caller's, but for the
// netsim profile.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include "lib/base/units.hpp"

namespace longhaul::probe {

struct Figure {
  double value = 0, low = 0, high = 0;
};

// The excess of one-way delay over its least, microseconds, at probabilities 0, 5 %, .. 100 %.
constexpr std::size_t kJitterPoints = 21;
using JitterTable = std::array<double, kJitterPoints>;

struct Policer {
  double rate = 0;    // IP bytes a second
  double bucket = 0;  // bytes
};

struct WayFigures {
  std::optional<Figure> capacity;  // IP bytes a second
  bool capacity_is_floor = false;  // no queue built up: the sender or the budget was the limit
  std::optional<Figure> buffer;    // bytes
  bool buffer_is_floor = false;    // it was never full
  std::optional<Policer> policer;
  std::optional<Figure> loss;  // share of packets, while nothing is overloaded
  double loss_burst = 1;       // packets lost in a row, mean
  std::uint64_t loss_of = 0, lost = 0, loss_events = 0;
  double reordered = 0;  // share of packets that came behind a later one
  std::optional<JitterTable> jitter;
};

struct RttFigures {
  double least_ms = 0, p50_ms = 0, p99_ms = 0;
  std::uint64_t samples = 0;
};

struct Figures {
  std::optional<RttFigures> idle;         // small packets on an otherwise idle link
  std::optional<RttFigures> loaded;       // while trains fill nine tenths of the link
  double propagation_ms = 0;              // the least, without the time packets take to be put out
  std::optional<Figure> clock_offset_ms;  // the site's clock less ours
  std::uint32_t mtu_bytes = 0;            // the largest IP packet that came both ways; 0: unknown
  WayFigures up, down;                    // up: from here to the site
  std::uint64_t bytes_up = 0, bytes_down = 0;
  Duration took{};
  bool cut_short = false;  // by time or budget: some figures are missing
};

// A netsim profile (docs/profiles.md) of this link, as JSON. `name` as profiles are named.
std::string profile_text(const Figures& figures, const std::string& name,
                         const std::string& source);

}  // namespace longhaul::probe
