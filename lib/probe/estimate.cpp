#include "lib/probe/estimate.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "lib/probe/fit.hpp"

namespace longhaul::probe {
namespace {

constexpr std::int64_t kNever = TrainSamples::kNever;
constexpr std::size_t kOverflowWindow = 16;

std::vector<double> one_way(const std::vector<EchoSample>& echoes, bool down) {
  std::vector<double> out;
  for (const EchoSample& echo : echoes)
    if (echo.idle)
      out.push_back(
          static_cast<double>(down ? echo.came_us - echo.left_us : echo.there_us - echo.sent_us));
  return out;
}

std::vector<double> delays_of(const TrainSamples& train) {
  std::vector<double> out;
  for (std::size_t i = 0; i < train.came_us.size(); ++i) {
    if (train.came_us[i] != kNever && train.sent_us[i] != kNever)
      out.push_back(static_cast<double>(train.came_us[i] - train.sent_us[i]));
  }
  return out;
}

std::vector<double> delays_of(const std::vector<UsedTrain>& way, TrainUse use) {
  std::vector<double> out;
  for (const UsedTrain& train : way) {
    if (train.use != use) continue;
    const std::vector<double> more = delays_of(train.samples);
    out.insert(out.end(), more.begin(), more.end());
  }
  return out;
}

// From where on most packets of a stretch are lost, as many as an overload of this size must.
std::optional<std::uint32_t> find_overflow(const TrainSamples& train, double share_lost) {
  const std::size_t n = train.came_us.size();
  if (n < kOverflowWindow || share_lost < 0.05) return std::nullopt;
  const auto enough =
      std::max(2.0, std::ceil(share_lost / 2 * static_cast<double>(kOverflowWindow)));
  double lost = 0;
  for (std::size_t i = 0; i < n; ++i) {
    lost += train.came_us[i] == kNever ? 1 : 0;
    if (i >= kOverflowWindow) lost -= train.came_us[i - kOverflowWindow] == kNever ? 1 : 0;
    if (lost < enough || i + 1 < kOverflowWindow) continue;
    for (std::size_t j = i + 1 - kOverflowWindow; j <= i; ++j)
      if (train.came_us[j] == kNever) return static_cast<std::uint32_t>(j);
  }
  return std::nullopt;
}

std::vector<double> arrivals(const TrainSamples& train, std::size_t from = 0) {
  std::vector<double> times;
  for (std::size_t i = from; i < train.came_us.size(); ++i)
    if (train.came_us[i] != kNever) times.push_back(static_cast<double>(train.came_us[i]));
  std::sort(times.begin(), times.end());
  return times;
}

// Rates of a train as it was sent and as it came, from first to last of those that came.
void spans_of(const TrainSamples& train, double& sent_us, double& came_us) {
  std::int64_t first_sent = std::numeric_limits<std::int64_t>::max(), last_sent = 0;
  for (std::size_t i = 0; i < train.came_us.size(); ++i) {
    if (train.came_us[i] == kNever || train.sent_us[i] == kNever) continue;
    first_sent = std::min(first_sent, train.sent_us[i]);
    last_sent = std::max(last_sent, train.sent_us[i]);
  }
  const std::vector<double> times = arrivals(train);
  sent_us = static_cast<double>(last_sent - first_sent);
  came_us = times.back() - times.front();
}

// ---- One direction ----

Figure rate_figure(const Slope& slope, double bytes) {
  const double rate = bytes * 1e6 / slope.value;
  const double share = std::min(0.9, kSureBounds * slope.error / slope.value);
  return {rate, rate * (1 - share), rate * (1 + share)};
}

double width(const Figure& figure) {
  return figure.value > 0 ? (figure.high - figure.low) / figure.value : 1e9;
}

struct Way {
  explicit Way(const std::vector<UsedTrain>& all) : trains(all) {}
  const std::vector<UsedTrain>& trains;
  double base_us = 0;  // least one-way delay of small packets, with the clocks' difference
  double small_bytes = 0;
  double jitter_us = 0;        // of single packets, at most
  double dense_us = 0;         // what a dense train gathers of it
  std::vector<double> sparse;  // one-way delays of idle echoes
};

void find_capacity(const Way& way, WayFigures& out) {
  std::optional<Figure> floor;
  for (const UsedTrain& train : way.trains) {
    if (train.use != TrainUse::kFill || train.samples.came() < 4) continue;
    const FillResult fill = look_at_fill(train.samples, way.jitter_us);
    if (fill.rate) {
      // Of trains that agree the longer one; what is short may lie within one burst of the sender.
      if (!out.capacity || width(*fill.rate) <= width(*out.capacity) * 1.2)
        out.capacity = fill.rate;
    } else if (!floor || fill.came_rate > floor->value) {
      floor = Figure{fill.came_rate, fill.came_rate, fill.came_rate};
    }
  }
  if (out.capacity || !floor) return;
  out.capacity = floor;
  out.capacity_is_floor = true;
}

void find_buffer(const Way& way, WayFigures& out) {
  if (!out.capacity || out.capacity_is_floor) return;
  const double rate = out.capacity->value;
  double most_us = 0;
  for (const UsedTrain& train : way.trains) {
    if (train.use != TrainUse::kFill || train.samples.came() < 4) continue;
    const TrainSamples& one = train.samples;
    const FillResult fill = look_at_fill(one, way.jitter_us);
    if (!fill.rate) continue;
    const double base = way.base_us + (one.packet_ip_bytes - way.small_bytes) * 1e6 / rate;
    std::vector<double> waits, all;
    for (std::size_t i = 0; i < one.came_us.size(); ++i) {
      if (one.came_us[i] == kNever || one.sent_us[i] == kNever) continue;
      const double wait = static_cast<double>(one.came_us[i] - one.sent_us[i]) - base;
      all.push_back(wait);
      // The last that found room waited for all but a packet of the buffer.
      if (fill.full_at && i + 1 >= *fill.full_at) waits.push_back(wait);
    }
    if (!fill.full_at) {
      most_us = std::max(most_us, quantile(all, 0.98) - way.dense_us);
      continue;
    }
    if (waits.empty()) continue;
    const double middle = quantile(waits, 0.5) - way.dense_us;
    const double count = static_cast<double>(waits.size());
    const double spread = quantile(waits, 0.9) - quantile(waits, 0.1);
    const double error = kSureBounds * (spread / 2.56 / std::sqrt(std::min(count, 50.0)));
    const double value = std::max(middle, 0.0) * rate / 1e6 + one.packet_ip_bytes;
    const double slack =
        error * rate / 1e6 + one.packet_ip_bytes + value * width(*out.capacity) / 2;
    out.buffer = Figure{value, std::max(0.0, value - slack), value + slack};
  }
  if (out.buffer) return;
  const double value = std::max(most_us, 0.0) * rate / 1e6;
  out.buffer = Figure{value, value, value};
  out.buffer_is_floor = true;
}

// Losses below the link's rate, without a queue, after a while without any: a token bucket.
void find_policer(const Way& way, WayFigures& out) {
  for (const UsedTrain& train : way.trains) {
    const TrainSamples& one = train.samples;
    if (train.use != TrainUse::kSustain || one.came() < 64) continue;
    const std::size_t half = one.came_us.size() / 2;
    const auto lost = static_cast<double>(std::count(
        one.came_us.begin() + static_cast<std::ptrdiff_t>(half), one.came_us.end(), kNever));
    const double share = lost / static_cast<double>(one.came_us.size() - half);
    const double usual = out.loss ? out.loss->high : 0;
    if (share < std::max(0.05, 3 * usual)) continue;
    std::vector<double> delays = delays_of(one);
    const double waits = quantile(delays, 0.9) - quantile(delays, 0.1);
    const double buffer_us =
        out.buffer && out.capacity ? out.buffer->value * 1e6 / out.capacity->value : 0;
    if (waits > std::max(5'000.0, 0.6 * buffer_us)) continue;  // a queue: we asked for too much
    const auto overflow = find_overflow(one, share);
    if (!overflow) continue;
    const std::vector<double> times = arrivals(one, *overflow);
    if (times.size() < 16) continue;
    const double rate = one.packet_ip_bytes * 1e6 / slope_of(times).value;
    double sent = 0, came = 0;
    spans_of(one, sent, came);
    const double passed = static_cast<double>(*overflow) * one.packet_ip_bytes;
    const double span =
        sent * static_cast<double>(*overflow) / static_cast<double>(one.came_us.size());
    out.policer = Policer{rate, std::max(0.0, passed - rate * span / 1e6)};
  }
}

// Mean, with its interval, of losses that come in bursts: events are as good as independent, and
// their lengths geometric.
void find_loss(const Way& way, WayFigures& out) {
  std::uint64_t since_last = 0;
  for (const UsedTrain& train : way.trains) {
    if (train.use != TrainUse::kLoss) continue;
    bool before = false;
    for (const std::int64_t at : train.samples.came_us) {
      ++out.loss_of;
      const bool lost = at == kNever;
      if (lost) ++out.lost;
      if (lost && !before) ++out.loss_events;
      before = lost;
      ++since_last;
    }
  }
  if (out.loss_of == 0) return;
  const double n = static_cast<double>(out.loss_of), events = static_cast<double>(out.loss_events);
  const double share = static_cast<double>(out.lost) / n;
  if (out.loss_events > 0) out.loss_burst = static_cast<double>(out.lost) / events;
  // What bursts are like cannot be seen in few of them.
  constexpr double kBurstUnseen = 4;
  constexpr std::array kFewHigh = {3.69, 5.57, 7.22, 8.77};  // Poisson, 95 %, of 0 to 3 events
  constexpr std::array kFewLow = {0.0, 0.025, 0.242, 0.619};
  if (out.loss_events < kFewHigh.size()) {
    const auto k = static_cast<std::size_t>(out.loss_events);
    const double burst = std::max(out.loss_burst * (out.loss_events > 0 ? 1.5 : 1), kBurstUnseen);
    out.loss = Figure{share, kFewLow[k] / n, std::min(1.0, kFewHigh[k] * burst / n)};
    return;
  }
  const double lengths = 1 - 1 / std::max(out.loss_burst, 1.0);  // squared variation, geometric
  const double spread = std::exp(kSureBounds * std::sqrt((1 + lengths) / events));
  out.loss = Figure{share, share / spread, std::min(1.0, share * spread)};
}

// Of echoes, which stand alone: in a dense train packets wait for each other.
void find_jitter(const Way& way, WayFigures& out) {
  std::vector<double> delays = way.sparse;
  if (delays.size() < kJitterPoints) return;
  std::sort(delays.begin(), delays.end());
  JitterTable table{};
  for (std::size_t i = 0; i < kJitterPoints; ++i) {
    const double p = static_cast<double>(i) / (kJitterPoints - 1);
    table[i] =
        delays[static_cast<std::size_t>(p * static_cast<double>(delays.size() - 1))] - way.base_us;
  }
  out.jitter = table;
  std::uint64_t behind = 0, came = 0;
  for (const UsedTrain& train : way.trains) {
    if (train.use != TrainUse::kLoss) continue;
    std::int64_t newest = 0;
    for (const std::int64_t at : train.samples.came_us) {
      if (at == kNever) continue;
      ++came;
      if (at < newest) ++behind;
      newest = std::max(newest, at);
    }
  }
  out.reordered = came > 0 ? static_cast<double>(behind) / static_cast<double>(came) : 0;
}

WayFigures look_at(const Way& way) {
  WayFigures out;
  find_loss(way, out);
  find_jitter(way, out);
  find_capacity(way, out);
  find_buffer(way, out);
  find_policer(way, out);
  return out;
}

// ---- Both directions ----

std::optional<RttFigures> rtt_figures(std::vector<double> us) {
  if (us.empty()) return std::nullopt;
  RttFigures out;
  out.samples = us.size();
  out.least_ms = *std::min_element(us.begin(), us.end()) / 1000;
  out.p50_ms = quantile(us, 0.5) / 1000;
  out.p99_ms = quantile(us, 0.99) / 1000;
  return out;
}

// Of the echo that was fastest: what it waited is least there, and half of that is the doubt.
std::optional<Figure> clock_offset(const Samples& samples) {
  const EchoSample* best = nullptr;
  for (const EchoSample& echo : samples.echoes)
    if (best == nullptr || echo.rtt_us() < best->rtt_us()) best = &echo;
  if (best == nullptr) return std::nullopt;
  const double there = static_cast<double>(best->there_us - best->sent_us);
  const double back = static_cast<double>(best->left_us - best->came_us);
  const double offset =
      ((there + back) / 2 + static_cast<double>(samples.wall_difference_us)) / 1000;
  const double doubt = static_cast<double>(best->rtt_us()) / 2000;
  return Figure{offset, offset - doubt, offset + doubt};
}

}  // namespace

double jitter_us(const std::vector<EchoSample>& echoes, bool down) {
  std::vector<double> delays = one_way(echoes, down);
  if (delays.size() < 10) return 0;
  const double least = *std::min_element(delays.begin(), delays.end());
  return quantile(delays, 0.99) - least;
}

FillResult look_at_fill(const TrainSamples& train, double jitter) {
  FillResult out;
  if (train.came() < 4) return out;
  double sent_us = 0, came_us = 0;
  spans_of(train, sent_us, came_us);
  const std::vector<double> times = arrivals(train);
  const double bytes = train.packet_ip_bytes;
  const double gaps = static_cast<double>(times.size() - 1);
  out.came_rate = bytes * gaps * 1e6 / std::max(came_us, 1.0);
  // How fast it was sent: all of it, and not only what came.
  std::size_t first = 0, last = 0;
  bool any = false;
  for (std::size_t i = 0; i < train.sent_us.size(); ++i) {
    if (train.sent_us[i] == kNever) continue;
    if (!any) first = i;
    any = true;
    last = i;
  }
  const auto numbers = static_cast<double>(last - first);
  out.sent_rate = bytes * numbers * 1e6 /
                  std::max(1.0, static_cast<double>(train.sent_us[last] - train.sent_us[first]));
  if (came_us < 1.1 * sent_us || came_us - sent_us < jitter) return out;
  const auto late =
      std::lower_bound(times.begin(), times.end(), times.front() + std::min(jitter, came_us / 3));
  std::size_t skip = times.size() >= 40 ? times.size() / 10 : 1;
  skip = std::max(skip, static_cast<std::size_t>(late - times.begin()));
  skip = std::min(skip, times.size() - 3);
  const Slope slope = slope_of({times.begin() + static_cast<std::ptrdiff_t>(skip), times.end()});
  if (slope.value <= 0 || kSureBounds * slope.error > 0.3 * slope.value) return out;
  out.rate = rate_figure(slope, bytes);
  out.full_at = find_overflow(train, std::max(0.0, 1 - out.rate->value / out.sent_rate));
  return out;
}

Figures estimate(const Samples& samples) {
  Figures out;
  std::vector<double> idle, loaded;
  for (const EchoSample& echo : samples.echoes) {
    if (echo.idle) idle.push_back(static_cast<double>(echo.rtt_us()));
    if (echo.loaded) loaded.push_back(static_cast<double>(echo.rtt_us()));
  }
  out.idle = rtt_figures(idle);
  out.loaded = rtt_figures(loaded);
  out.clock_offset_ms = clock_offset(samples);
  if (idle.empty()) return out;
  double least_us = 0, put_out_us = 0;
  const auto look = [&](const std::vector<UsedTrain>& trains, bool down) {
    Way way(trains);
    way.sparse = one_way(samples.echoes, down);
    way.jitter_us = jitter_us(samples.echoes, down);
    std::vector<double> dense = delays_of(trains, TrainUse::kLoss);
    way.base_us = *std::min_element(way.sparse.begin(), way.sparse.end());
    if (!dense.empty())
      way.base_us = std::min(way.base_us, *std::min_element(dense.begin(), dense.end()));
    way.small_bytes = samples.echo_ip_bytes;
    WayFigures figures;
    find_jitter(way, figures);
    // Where packets may overtake, they do not wait for each other.
    const double worst = dense.empty() ? way.jitter_us : quantile(dense, 0.99) - way.base_us;
    const double typical = quantile(way.sparse, 0.5) - way.base_us;
    way.dense_us = figures.reordered > 0.001 ? typical : worst;
    figures = look_at(way);
    // From one way's least and the other's, which no single echo need have met.
    least_us += way.base_us;
    if (figures.capacity && !figures.capacity_is_floor)
      put_out_us += samples.echo_ip_bytes * 1e6 / figures.capacity->value;
    return figures;
  };
  out.up = look(samples.up, false);
  out.down = look(samples.down, true);
  out.propagation_ms = std::max(0.0, least_us - put_out_us) / 1000;
  out.idle->least_ms = std::min(out.idle->least_ms, least_us / 1000);
  return out;
}

}  // namespace longhaul::probe
