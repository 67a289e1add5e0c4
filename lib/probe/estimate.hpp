// Estimate: from when packets left and came to what the link is like. Pure; offline arithmetic in
// floating point, nothing of it decides what a session does. Formulas: docs/probe.md.
#pragma once

#include <cstdint>
#include <vector>

#include "lib/probe/figures.hpp"
#include "lib/probe/train.hpp"

namespace longhaul::probe {

// One question and its answer, microseconds; the middle two by the site's clock.
struct EchoSample {
  std::int64_t sent_us = 0, there_us = 0, left_us = 0, came_us = 0;
  bool idle = false;    // nothing else was under way
  bool loaded = false;  // trains filled the link meanwhile
  std::int64_t rtt_us() const { return (came_us - sent_us) - (left_us - there_us); }
};

enum class TrainUse : std::uint8_t {
  kLoss,     // small packets, seldom: loss, jitter
  kFill,     // far more than the link carries: capacity, buffer
  kSustain,  // a little less than it carries: policer, loss
};

struct UsedTrain {
  TrainUse use = TrainUse::kLoss;
  TrainSamples samples;
};

struct Samples {
  std::vector<EchoSample> echoes;
  std::uint32_t echo_ip_bytes = 0;
  std::vector<UsedTrain> up, down;
  // The site's wall clock at its 0 us less ours at our 0 us.
  std::int64_t wall_difference_us = 0;
};

// What one filling train says; nothing where no queue stood.
struct FillResult {
  std::optional<Figure> rate;            // IP bytes a second; while a queue stood
  std::optional<std::uint32_t> full_at;  // the first packet that found the buffer full
  double sent_rate = 0, came_rate = 0;
};
// jitter: of a packet by itself, at most. On a link that keeps order a dense train gathers the
// worst of it within about as long, and is looked at only from there on.
FillResult look_at_fill(const TrainSamples& train, double jitter);

// By how much one-way delay of idle echoes exceeds the least at most, but for one in a hundred.
double jitter_us(const std::vector<EchoSample>& echoes, bool down);

Figures estimate(const Samples& samples);

}  // namespace longhaul::probe
