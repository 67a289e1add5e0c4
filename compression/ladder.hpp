// Ladder: which codec, from what was measured. The rung that is predicted to move the most original
// bytes a second, min(cores x codec rate, ratio x link rate), with hysteresis; raw when nothing
// shrinks. It compares measurements, never file names; higher levels are tried only where level 1
// shrinks and cores idle (on weights level 9 is ten times slower and no smaller). Pure: integers,
// no clock, equal inputs give equal choices. One Ladder for a file, a tensor or a kind of small
// file; one thread at a time.
//
//   while (auto rung = ladder.next_probe(now_like_this))        // usually one to three times, then
//   none
//     measure(*rung, sample_of_64_to_256_KiB), ladder.on_measured(..);
//   const Choice choice = ladder.choose(now_like_this);          // encode the chunk so ..
//   ladder.on_measured({choice.rung, in, out, cpu});             // .. and tell it how that went
#pragma once

#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "compression/codec.hpp"
#include "lib/base/units.hpp"

namespace longhaul::compression {

inline constexpr std::uint64_t kMinProbeBytes = 64U << 10;
inline constexpr std::uint64_t kMaxProbeBytes = 256U << 10;

struct Rung {
  Codec codec = Codec::kRaw;
  int level = kMinZstdLevel;  // for kZstd; else kMinZstdLevel
  bool operator==(const Rung&) const = default;
};

struct Measured {
  Rung rung;
  std::uint64_t in_bytes = 0;
  std::uint64_t out_bytes = 0;
  Duration cpu{};  // of one core
};

struct Conditions {
  BytesPerSecond link;  // what bulk gets now; zero while nothing gets through
  unsigned cores = 1;   // free for encoding
};

enum class Reason : std::uint8_t {
  kUnmeasured,      // no sample yet: raw
  kIncompressible,  // no rung saves 1/64: raw
  kLinkIsFaster,    // data shrinks, but the link outruns the codecs: raw
  kLinkIsLimit,     // this ratio moves most over the link
  kCpuIsLimit,      // the best of what the cores can do
  kIdleCores,       // a higher level, since cores idle
  kKept,            // another is better by less than a switch is worth
};
std::string_view name_of(Reason reason);  // words for the progress line

struct Choice {
  Rung rung;
  Reason reason = Reason::kUnmeasured;
  BytesPerSecond goodput;  // predicted, of original bytes
};

// min(cores x rate, ratio x link); raw is as fast as the link.
BytesPerSecond predicted_goodput(const Measured& measured, const Conditions& conditions);
bool shrinks(const Measured& measured);  // saves at least 1/64

// The rule itself. `current` is the rung in use, if any; it stays unless another gains over 10 %.
Choice choose_rung(std::span<const Measured> measured, const Conditions& conditions,
                   std::optional<Rung> current);

// What the data allows, before anything is measured.
struct DataTraits {
  std::size_t plane_bytes = 1;  // 2, 4, 8 for elements of that width
  bool has_base = false;        // the peer holds a chunk of equal length to XOR with
  bool has_dictionary = false;
};

class Ladder {
 public:
  explicit Ladder(DataTraits traits);

  // The rung to measure next on a sample; none if what is known will do.
  std::optional<Rung> next_probe(const Conditions& conditions) const;
  // A sample or a chunk that was encoded. Raw chunks count too: they say how far the last probe
  // lies back.
  void on_measured(const Measured& measured);
  Choice choose(const Conditions& conditions);
  // For other data that most likely is of the same kind, a file's neighbour: its level-1 rungs are
  // measured anew, and the higher ones stand unless those say that the kind has changed.
  Ladder for_the_like() const;
  // The higher levels that another has measured, if these data shrink by level 1 as those did;
  // false if it knows none that this one lacks.
  bool take_levels_of(const Ladder& like);

 private:
  struct Basic {
    Rung rung;
    bool stale = true;  // to be measured, or measured anew
  };
  const Measured* find(Rung rung) const;
  bool nothing_shrinks() const;  // false while something is unmeasured
  std::optional<Rung> next_level(const Conditions& conditions) const;
  void forget_levels();
  void count_towards_reprobe(std::uint64_t bytes);

  std::vector<Basic> basics_;       // what the traits allow, best guess first
  std::vector<Measured> measured_;  // sums, halved as they grow; at most one a rung
  std::optional<Rung> current_;
  std::uint64_t bytes_since_probe_ = 0;
  std::uint64_t reprobe_after_bytes_;
};

}  // namespace longhaul::compression
