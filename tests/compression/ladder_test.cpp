#include "compression/ladder.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "lib/base/rng.hpp"

namespace longhaul::compression {
namespace {

constexpr std::uint64_t kMbit = 1'000'000;

Conditions link_of(std::uint64_t megabits, unsigned cores = 1) {
  return {BytesPerSecond::from_bits(megabits * kMbit), cores};
}

// A sample as some codec would report it: ratio in percent, MB/s of one core.
Measured sample(Rung rung, std::uint64_t ratio_percent, std::uint64_t megabytes_per_s,
                std::uint64_t in_bytes = 256U << 10) {
  return {rung, in_bytes, in_bytes * 100 / ratio_percent,
          BytesPerSecond(megabytes_per_s * 1'000'000).time_for(ByteCount(in_bytes))};
}

// bf16 weights with a base, as measured on one machine.
std::vector<Measured> weights() {
  return {sample({Codec::kXorPlanes2Zstd}, 580, 900), sample({Codec::kPlanes2Zstd}, 149, 1100),
          sample({Codec::kZstd}, 128, 550)};
}

TEST(Ladder, TakesTheDeltaOnASlowLinkAndRawOnAFastOne) {
  const Choice slow = choose_rung(weights(), link_of(100), {});
  EXPECT_EQ(slow.rung.codec, Codec::kXorPlanes2Zstd);
  EXPECT_EQ(slow.reason, Reason::kLinkIsLimit);
  EXPECT_NEAR(static_cast<double>(slow.goodput.value()), 5.8 * 12.5e6, 1e5);
  const Choice fast = choose_rung(weights(), link_of(10'000), {});
  EXPECT_EQ(fast.rung.codec, Codec::kRaw);
  EXPECT_EQ(fast.reason, Reason::kLinkIsFaster);
}

TEST(Ladder, TakesTheFasterCodecWhenCoresAreTheLimit) {
  const Choice one = choose_rung(weights(), link_of(7000), {});
  EXPECT_EQ(one.rung.codec, Codec::kPlanes2Zstd);
  EXPECT_EQ(one.reason, Reason::kCpuIsLimit);
  const Choice eight = choose_rung(weights(), link_of(7000, 8), {});
  EXPECT_EQ(eight.rung.codec, Codec::kXorPlanes2Zstd);
}

TEST(Ladder, SendsRawWhatDoesNotShrinkOrIsUnknown) {
  const std::vector<Measured> noise = {sample({Codec::kZstd}, 100, 4000)};
  EXPECT_EQ(choose_rung(noise, link_of(1), {}).rung.codec, Codec::kRaw);
  EXPECT_EQ(choose_rung(noise, link_of(1), {}).reason, Reason::kIncompressible);
  EXPECT_EQ(choose_rung({}, link_of(1), {}).rung.codec, Codec::kRaw);
  EXPECT_EQ(choose_rung({}, link_of(1), {}).reason, Reason::kUnmeasured);
}

TEST(Ladder, NeverTakesALevelAboveFiveForLittle) {
  const std::vector<Measured> tensors = {sample({Codec::kZstd}, 108, 850),
                                         sample({Codec::kZstd, 9}, 115, 40)};
  EXPECT_EQ(choose_rung(tensors, link_of(1, 64), {}).rung, (Rung{Codec::kZstd, 1}));
}

TEST(Ladder, OrdersByRatioWhileNothingGetsThrough) {
  EXPECT_EQ(choose_rung(weights(), {BytesPerSecond(0), 0}, {}).rung.codec, Codec::kXorPlanes2Zstd);
}

TEST(Ladder, KeepsItsRungUntilAnotherGainsATenth) {
  const std::vector<Measured> close = {sample({Codec::kPlanes2Zstd}, 150, 1000),
                                       sample({Codec::kZstd}, 140, 1000)};
  const Choice kept = choose_rung(close, link_of(100), Rung{Codec::kZstd});
  EXPECT_EQ(kept.rung.codec, Codec::kZstd);
  EXPECT_EQ(kept.reason, Reason::kKept);
  const std::vector<Measured> apart = {sample({Codec::kPlanes2Zstd}, 160, 1000),
                                       sample({Codec::kZstd}, 140, 1000)};
  EXPECT_EQ(choose_rung(apart, link_of(100), Rung{Codec::kZstd}).rung.codec, Codec::kPlanes2Zstd);
}

TEST(Ladder, DoesNotSwingWithALinkThatWavers) {
  Rng rng(1);
  std::optional<Rung> current;
  int switches = 0;
  for (int i = 0; i < 2000; ++i) {  // around the link at which raw and planes are worth the same
    const std::uint64_t megabits = 8800 - 350 + rng.below(700);
    const Choice choice = choose_rung(weights(), link_of(megabits), current);
    if (current && !(*current == choice.rung)) ++switches;
    current = choice.rung;
  }
  EXPECT_LE(switches, 1);
}

std::vector<Measured> random_measures(Rng& rng) {
  std::vector<Measured> all;
  for (std::uint8_t codec = 1; codec < kCodecCount; ++codec) {
    if (rng.chance(0.4)) continue;
    const int level = codec == 1 && rng.chance(0.5) ? static_cast<int>(rng.between(1, 12)) : 1;
    all.push_back(sample({codec_of(codec).value(), level}, rng.between(99, 900),
                         rng.between(1, 5000), rng.between(1, kMaxProbeBytes)));
  }
  return all;
}

RC_GTEST_PROP(Ladder, IsNeverFarBelowRawOrTheBest, (std::uint64_t seed)) {
  Rng rng(seed);
  const std::vector<Measured> all = random_measures(rng);
  const Conditions conditions =
      link_of(rng.between(1, 20'000), static_cast<unsigned>(rng.below(9)));
  std::optional<Rung> current;
  if (!all.empty() && rng.chance(0.5)) current = all[rng.below(all.size())].rung;
  const Choice choice = choose_rung(all, conditions, current);
  std::uint64_t best = conditions.link.value();
  for (const Measured& m : all)
    if (shrinks(m) && m.rung.level <= 5)
      best = std::max(best, predicted_goodput(m, conditions).value());
  RC_ASSERT(choice.goodput.value() >= best - best / 8);  // 3 % for cheaper CPU, 10 % for staying
  const Choice again = choose_rung(all, conditions, current);
  RC_ASSERT(again.rung == choice.rung && again.reason == choice.reason);
  // Having chosen, it stays: with the same inputs nothing moves.
  RC_ASSERT(choose_rung(all, conditions, choice.rung).rung == choice.rung);
}

RC_GTEST_PROP(Ladder, NeverShrinksLessOnASlowerLink, (std::uint64_t seed)) {
  Rng rng(seed);
  const std::vector<Measured> all = random_measures(rng);
  const auto ratio_at = [&](std::uint64_t megabits) {
    const Choice choice = choose_rung(all, link_of(megabits), {});
    for (const Measured& m : all)
      if (m.rung == choice.rung)
        return static_cast<double>(m.in_bytes) /
               static_cast<double>(std::max<std::uint64_t>(1, m.out_bytes));
    return 1.0;
  };
  const std::uint64_t slow = rng.between(1, 1000);
  RC_ASSERT(ratio_at(slow) * 1.035 >= ratio_at(10 * slow));
}

// Runs a ladder against a codec model until it wants no more samples.
template <class Model>
std::vector<Rung> probe_all(Ladder& ladder, const Conditions& conditions, Model&& model) {
  std::vector<Rung> probed;
  while (const auto rung = ladder.next_probe(conditions)) {
    probed.push_back(*rung);
    ladder.on_measured(model(*rung));
    if (probed.size() > 20) break;
  }
  return probed;
}

Measured text_model(Rung rung) {
  switch (rung.level) {
    case 1:
      return sample(rung, 590, 310);
    case 3:
      return sample(rung, 660, 200);
    case 6:
      return sample(rung, 760, 80);
    default:
      return sample(rung, 770, 20);
  }
}

TEST(Ladder, ClimbsOnTextWhileTheCoresIdle) {
  Ladder ladder({});
  const auto probed = probe_all(ladder, link_of(10, 2), text_model);
  EXPECT_EQ(probed, (std::vector<Rung>{{Codec::kZstd, 1},
                                       {Codec::kZstd, 3},
                                       {Codec::kZstd, 6},
                                       {Codec::kZstd, 9}}));  // 9 gained under 2 %: no 12
  const Choice choice = ladder.choose(link_of(10, 2));
  EXPECT_EQ(choice.rung.level, 6);
  EXPECT_EQ(choice.reason, Reason::kIdleCores);
  // A faster link takes the cores back at once, without another sample.
  EXPECT_EQ(ladder.choose(link_of(1000, 2)).rung.level, 1);
}

TEST(Ladder, DoesNotClimbWhereLevelOneGainsLittleOrCoresAreBusy) {
  Ladder weights_ladder({.plane_bytes = 2});
  const auto probed = probe_all(weights_ladder, link_of(10, 8), [](Rung rung) {
    return rung.codec == Codec::kZstd ? sample(rung, 110, 550) : sample(rung, 149, 1100);
  });
  EXPECT_EQ(probed, (std::vector<Rung>{{Codec::kPlanes2Zstd}, {Codec::kZstd}}));
  Ladder busy({});
  EXPECT_EQ(probe_all(busy, link_of(1000), text_model), (std::vector<Rung>{{Codec::kZstd, 1}}));
}

TEST(Ladder, ProbesWhatTheDataAllows) {
  Ladder all({.plane_bytes = 4, .has_base = true, .has_dictionary = true});
  const auto probed = probe_all(all, link_of(1), [](Rung rung) { return sample(rung, 100, 1000); });
  EXPECT_EQ(probed, (std::vector<Rung>{{Codec::kXorPlanes4Zstd},
                                       {Codec::kPlanes4Zstd},
                                       {Codec::kZstdDictionary},
                                       {Codec::kZstd}}));
}

TEST(Ladder, LooksAtHopelessDataLessAndLessOften) {
  Ladder ladder({});
  constexpr std::uint64_t kChunk = 64U << 10;
  std::uint64_t probed_bytes = 0;
  const std::uint64_t total = std::uint64_t{2} << 30;
  for (std::uint64_t sent = 0; sent < total; sent += kChunk) {
    while (const auto rung = ladder.next_probe(link_of(100))) {
      ladder.on_measured(sample(*rung, 100, 4000, kChunk));
      probed_bytes += kChunk;
    }
    const Choice choice = ladder.choose(link_of(100));
    ASSERT_EQ(choice.reason, Reason::kIncompressible);
    ladder.on_measured({choice.rung, kChunk, kChunk, Duration(0)});
  }
  EXPECT_LT(probed_bytes, total / 500);
  EXPECT_GT(probed_bytes, 6 * kChunk);
}

TEST(Ladder, NoticesThatHopelessDataBecameText) {
  Ladder ladder({});
  bool text = false;
  std::uint64_t late_bytes = 0;
  for (int chunk = 0; chunk < 2000; ++chunk) {
    if (chunk == 100) text = true;
    while (const auto rung = ladder.next_probe(link_of(100)))
      ladder.on_measured(text ? text_model(*rung) : sample(*rung, 100, 4000));
    const Choice choice = ladder.choose(link_of(100));
    if (text && choice.rung.codec == Codec::kRaw) late_bytes += 64U << 10;
    ladder.on_measured({choice.rung, 64U << 10,
                        choice.rung.codec == Codec::kRaw ? 64U << 10 : 10U << 10,
                        choice.rung.codec == Codec::kRaw ? Duration(0) : Duration(200'000)});
  }
  EXPECT_LE(late_bytes, 8U << 20);
}

std::vector<int> levels_of(const std::vector<Rung>& rungs) {
  std::vector<int> levels;
  for (const Rung& rung : rungs) levels.push_back(rung.level);
  return levels;
}

// The kind's level-1 rung is measured anew, for a neighbour and after 64 MiB; if it is as before,
// the climb is not made again.
TEST(Ladder, ClimbsAgainOnlyWhereTheKindChanged) {
  Ladder first({});
  probe_all(first, link_of(10, 2), text_model);
  Ladder like = first.for_the_like();
  EXPECT_EQ(levels_of(probe_all(like, link_of(10, 2), text_model)), std::vector<int>{1});
  EXPECT_EQ(like.choose(link_of(10, 2)).rung.level, first.choose(link_of(10, 2)).rung.level);
  Ladder other = first.for_the_like();
  EXPECT_EQ(levels_of(probe_all(other, link_of(10, 2),
                                [](Rung rung) {
                                  Measured m = text_model(rung);
                                  m.out_bytes /= 2;
                                  return m;
                                })),
            (std::vector<int>{1, 3, 6, 9}));
  const Rung settled = first.choose(link_of(10, 2)).rung;
  Measured much = text_model(settled);
  for (std::uint64_t bytes = 0; bytes < 64U << 20; bytes += much.in_bytes) first.on_measured(much);
  EXPECT_EQ(levels_of(probe_all(first, link_of(10, 2), text_model)), std::vector<int>{1});
}

TEST(Ladder, SaysWhyInWords) {
  for (int reason = 0; reason <= static_cast<int>(Reason::kKept); ++reason)
    EXPECT_GT(name_of(static_cast<Reason>(reason)).size(), 5U);
}

}  // namespace
}  // namespace longhaul::compression
