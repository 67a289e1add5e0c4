#include "compression/ladder.hpp"

#include <algorithm>
#include <array>
#include <limits>

namespace longhaul::compression {
namespace {

__extension__ using Wide = unsigned __int128;

constexpr std::uint64_t kSwitchPercent =
    10;                                     // a rung must gain this much to replace the current one
constexpr std::uint64_t kWorthPercent = 3;  // below this a gain is not worth more CPU
// zstd's levels worth a step each; below 2 % a step the climb ends.
constexpr std::array<int, 5> kLevels = {1, 3, 6, 9, kMaxZstdLevel};
constexpr int kMaxLevelOnAnyData = 5;
// Sums are halved here, so that a rung's figures follow its last few MiB.
constexpr std::uint64_t kMemoryBytes = 4U << 20;
constexpr std::uint64_t kFirstReprobeBytes = 1U << 20;
constexpr std::uint64_t kLastReprobeBytes = 64U << 20;

std::uint64_t clamped(Wide value) {
  constexpr auto kTop = std::numeric_limits<std::uint64_t>::max();
  return value < kTop ? static_cast<std::uint64_t>(value) : kTop;
}

// Bytes of input one core handles a second; whoever took no time is as fast as can be.
std::uint64_t rate_of(const Measured& measured) {
  if (measured.cpu.count() <= 0) return std::numeric_limits<std::uint64_t>::max();
  return clamped(Wide{measured.in_bytes} * 1'000'000'000U /
                 static_cast<std::uint64_t>(measured.cpu.count()));
}
std::uint64_t cpu_goodput(const Measured& measured, const Conditions& conditions) {
  return clamped(Wide{rate_of(measured)} * std::max(1U, conditions.cores));
}
// An idle or dead link still orders the rungs by ratio: a megabyte a second stands for it.
std::uint64_t link_goodput(const Measured& measured, const Conditions& conditions) {
  const std::uint64_t link = std::max<std::uint64_t>(conditions.link.value(), 1'000'000);
  return clamped(Wide{link} * measured.in_bytes / std::max<std::uint64_t>(1, measured.out_bytes));
}
std::uint64_t goodput_of(const Measured& measured, const Conditions& conditions) {
  return std::min(cpu_goodput(measured, conditions), link_goodput(measured, conditions));
}

// a exceeds b by more than `percent`.
bool exceeds(std::uint64_t a, std::uint64_t b, std::uint64_t percent) {
  return Wide{a} * 100 > Wide{b} * (100 + percent);
}
// Both ways of one rung, so that the sizes of what was measured do not matter.
bool shrank_otherwise(const Measured& a, const Measured& b) {
  constexpr Wide kPercent = 112;  // an eighth
  const Wide left = Wide{a.out_bytes} * b.in_bytes, right = Wide{b.out_bytes} * a.in_bytes;
  return left * 100 > right * kPercent || right * 100 > left * kPercent;
}
bool saves_a_sixth(const Measured& m) {
  return Wide{m.out_bytes} * 6 <= Wide{m.in_bytes} * 5;
}

bool eligible(const Measured& m) {
  if (m.rung.codec == Codec::kRaw || !shrinks(m)) return false;
  return m.rung.level <= kMaxLevelOnAnyData || saves_a_sixth(m);
}

Measured as_raw() {
  return {Rung{}, 1, 1, Duration(0)};
}

Reason why_chosen(const Measured& chosen, const Conditions& conditions) {
  if (chosen.rung.level > kMinZstdLevel) return Reason::kIdleCores;
  return cpu_goodput(chosen, conditions) < link_goodput(chosen, conditions) ? Reason::kCpuIsLimit
                                                                            : Reason::kLinkIsLimit;
}

}  // namespace

std::string_view name_of(Reason reason) {
  switch (reason) {
    case Reason::kUnmeasured:
      return "not measured yet";
    case Reason::kIncompressible:
      return "data does not shrink";
    case Reason::kLinkIsFaster:
      return "link is faster than compression";
    case Reason::kLinkIsLimit:
      return "link is the limit";
    case Reason::kCpuIsLimit:
      return "CPU is the limit";
    case Reason::kIdleCores:
      return "CPU is idle, compressing harder";
    case Reason::kKept:
      return "no switch: too little to gain";
  }
  return "?";
}

bool shrinks(const Measured& m) {
  return Wide{m.out_bytes} * 64 <= Wide{m.in_bytes} * 63;
}

BytesPerSecond predicted_goodput(const Measured& measured, const Conditions& conditions) {
  return BytesPerSecond(goodput_of(measured, conditions));
}

Choice choose_rung(std::span<const Measured> measured, const Conditions& conditions,
                   std::optional<Rung> current) {
  const Measured raw = as_raw();
  const bool any_known = std::any_of(measured.begin(), measured.end(), [](const Measured& m) {
    return m.rung.codec != Codec::kRaw && m.in_bytes > 0;
  });
  const bool any_shrinks = std::any_of(measured.begin(), measured.end(), eligible);
  const auto choice = [&](const Measured& m, Reason reason) {
    return Choice{m.rung, reason, predicted_goodput(m, conditions)};
  };
  if (!any_shrinks) return choice(raw, any_known ? Reason::kIncompressible : Reason::kUnmeasured);

  std::uint64_t most = goodput_of(raw, conditions);
  for (const Measured& m : measured)
    if (eligible(m)) most = std::max(most, goodput_of(m, conditions));
  // Of those as good as the best, the one that costs least; raw costs nothing.
  const Measured* best = exceeds(most, goodput_of(raw, conditions), kWorthPercent) ? nullptr : &raw;
  const Measured* in_use = current == raw.rung ? &raw : nullptr;
  for (const Measured& m : measured) {
    if (!eligible(m)) continue;
    if (m.rung == current) in_use = &m;
    if (best == &raw || exceeds(most, goodput_of(m, conditions), kWorthPercent)) continue;
    if (best == nullptr || rate_of(m) > rate_of(*best)) best = &m;
  }
  if (in_use != nullptr && in_use != best &&
      !exceeds(goodput_of(*best, conditions), goodput_of(*in_use, conditions), kSwitchPercent))
    return choice(*in_use, Reason::kKept);
  return choice(*best, best == &raw ? Reason::kLinkIsFaster : why_chosen(*best, conditions));
}

Ladder::Ladder(DataTraits traits) : reprobe_after_bytes_(kFirstReprobeBytes) {
  const bool planes = planes_codec(traits.plane_bytes) != Codec::kZstd;
  if (planes && traits.has_base) basics_.push_back({{xor_codec(traits.plane_bytes)}});
  if (planes) basics_.push_back({{planes_codec(traits.plane_bytes)}});
  if (traits.has_dictionary) basics_.push_back({{Codec::kZstdDictionary}});
  basics_.push_back({{Codec::kZstd}});
}

const Measured* Ladder::find(Rung rung) const {
  const auto found = std::find_if(measured_.begin(), measured_.end(),
                                  [&](const Measured& m) { return m.rung == rung; });
  return found == measured_.end() ? nullptr : &*found;
}

bool Ladder::nothing_shrinks() const {
  return std::all_of(basics_.begin(), basics_.end(), [&](const Basic& basic) {
    const Measured* known = find(basic.rung);
    return known != nullptr && !shrinks(*known);
  });
}

std::optional<Rung> Ladder::next_probe(const Conditions& conditions) const {
  for (const Basic& basic : basics_)
    if (basic.stale) return basic.rung;
  return next_level(conditions);
}

// Climbs while level 1 shrinks well, the last step gained, and the cores outrun the link at the
// level reached.
std::optional<Rung> Ladder::next_level(const Conditions& conditions) const {
  const Measured* below = nullptr;
  for (const int level : kLevels) {
    const Rung rung{Codec::kZstd, level};
    const Measured* here = find(rung);
    if (here == nullptr) {
      const bool idle = below != nullptr && saves_a_sixth(*below) &&
                        cpu_goodput(*below, conditions) / 2 > link_goodput(*below, conditions);
      return idle ? std::optional(rung) : std::nullopt;
    }
    if (below != nullptr &&
        !exceeds(link_goodput(*here, conditions), link_goodput(*below, conditions), 2))
      return std::nullopt;
    below = here;
  }
  return std::nullopt;
}

void Ladder::on_measured(const Measured& measured) {
  count_towards_reprobe(measured.in_bytes);
  if (measured.rung.codec == Codec::kRaw || measured.in_bytes == 0) return;
  const bool was_hopeless = nothing_shrinks();
  auto basic = std::find_if(basics_.begin(), basics_.end(),
                            [&](const Basic& b) { return b.rung == measured.rung; });
  const bool anew = basic != basics_.end() && basic->stale;
  if (basic != basics_.end()) basic->stale = false;
  auto known = std::find_if(measured_.begin(), measured_.end(),
                            [&](const Measured& m) { return m.rung == measured.rung; });
  if (known == measured_.end()) {
    measured_.push_back(measured);
  } else if (anew) {
    const bool changed = shrank_otherwise(*known, measured);
    *known = measured;
    if (changed) forget_levels();
  } else {
    if (known->in_bytes > kMemoryBytes) {
      known->in_bytes /= 2;
      known->out_bytes /= 2;
      known->cpu /= 2;
    }
    known->in_bytes += measured.in_bytes;
    known->out_bytes += measured.out_bytes;
    known->cpu += measured.cpu;
  }
  if (!was_hopeless || nothing_shrinks()) return;
  for (Basic& other : basics_)  // the data changed: what is known of the others is of the old kind
    if (!(other.rung == measured.rung)) other.stale = true;
  reprobe_after_bytes_ = kFirstReprobeBytes;
}

// Data that does not shrink is looked at again after 1, 2, 4 .. 64 MiB, by its first rung only;
// the basic rungs of other data each 64 MiB, for it may have become another kind.
void Ladder::count_towards_reprobe(std::uint64_t bytes) {
  bytes_since_probe_ += bytes;
  const bool hopeless = nothing_shrinks();
  if (bytes_since_probe_ < (hopeless ? reprobe_after_bytes_ : kLastReprobeBytes)) return;
  bytes_since_probe_ = 0;
  if (hopeless) {
    reprobe_after_bytes_ = std::min(2 * reprobe_after_bytes_, kLastReprobeBytes);
    basics_.front().stale = true;
    return;
  }
  for (Basic& basic : basics_) basic.stale = true;
}

void Ladder::forget_levels() {
  std::erase_if(measured_, [&](const Measured& m) { return m.rung.level > kMinZstdLevel; });
}

bool Ladder::take_levels_of(const Ladder& like) {
  const Rung least{Codec::kZstd, kMinZstdLevel};
  const Measured* here = find(least);
  const Measured* there = like.find(least);
  if (here == nullptr || there == nullptr || shrank_otherwise(*here, *there)) return false;
  bool took = false;
  for (const Measured& m : like.measured_) {
    if (m.rung.level == kMinZstdLevel || find(m.rung) != nullptr) continue;
    measured_.push_back(m);
    took = true;
  }
  return took;
}

Ladder Ladder::for_the_like() const {
  Ladder out = *this;
  for (Basic& basic : out.basics_) basic.stale = true;
  out.bytes_since_probe_ = 0;
  out.reprobe_after_bytes_ = kFirstReprobeBytes;
  return out;
}

Choice Ladder::choose(const Conditions& conditions) {
  const Choice choice = choose_rung(measured_, conditions, current_);
  current_ = choice.rung;
  return choice;
}

}  // namespace longhaul::compression
