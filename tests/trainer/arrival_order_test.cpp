// The order of arrival: nothing is read that is not here, and a resume repeats what was read.
#include "trainer/arrival_order.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <set>

#include "lib/base/rng.hpp"
#include "tests/trainer/temporary_folder.hpp"

namespace longhaul::trainer {
namespace {

constexpr OrderOptions kArrival{
    .seed = 7, .sequence = 10, .window_blocks = 3, .block_bytes = 256, .arrival = true};

// Two shards of 40 blocks of 128 tokens each, which arrive one by one, in virtual time.
class Arriving final : public DataSource {
 public:
  static constexpr std::uint64_t kBlock = 128, kShard = 40 * kBlock;
  explicit Arriving(std::uint64_t seed) {
    Rng rng(seed, "arrival.test");
    for (std::uint64_t& time : times_) time = rng.below(2000);
  }
  const std::vector<ShardInfo>& shards() const override { return infos_; }
  std::string identity() const override { return "arriving"; }
  Result<Presence> here(const TokenRange& range) override {
    for (std::uint64_t at = range.first; at < range.first + range.count; ++at)
      if (times_[range.shard * 40 + at / kBlock] > now) return Presence::kNotYet;
    return Presence::kThere;
  }
  Result<Presence> read(const TokenRange& range, std::span<Token>) override { return here(range); }
  std::uint64_t now = 0;

 private:
  std::vector<ShardInfo> infos_ = {{"a", kShard, 2}, {"b", kShard, 2}};
  std::array<std::uint64_t, 80> times_{};
};

SampleOrder arrival_order_of(const DataSource& source) {
  return SampleOrder::make(source.shards(), kArrival).value();
}

// One that reads, a sample each tick where it can.
struct Reader {
  explicit Reader(const Path& folder, Arriving& data)
      : source(data), order(arrival_order_of(data)), arrival(folder, kArrival.seed) {}

  // Null: its turn is not decided, as nothing is here.
  std::optional<TokenRange> read(std::uint64_t index) {
    while (!order.knows(index))
      if (arrival.next(order, source).value() == Presence::kNotYet) return std::nullopt;
    return order.at(index);
  }

  Arriving& source;
  SampleOrder order;
  ArrivalOrder arrival;
};

TEST(ArrivalOrder, InAnyOrderOfArrivalWithKillsAnywhereReadsWhatIsHereAndRepeatsIt) {
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    SCOPED_TRACE(seed);
    const TemporaryFolder folder;
    Arriving data(seed);
    Rng rng(seed, "arrival.kills");
    auto reader = std::make_unique<Reader>(folder.path() / "order", data);
    const std::uint64_t samples = reader->order.samples_per_epoch();
    std::vector<TokenRange> read;
    std::uint64_t index = 0, ticks = 0;
    while (read.size() < samples) {
      data.now = ++ticks;
      const auto range = reader->read(index);
      if (range) {
        EXPECT_EQ(data.here(*range).value(), Presence::kThere) << "poison";
        if (index == read.size()) read.push_back(*range);
        EXPECT_EQ(read[index++], *range) << "sample " << index << " is another after a resume";
      } else {
        ASSERT_LT(ticks, 2001U) << "it waits, and all is here";
      }
      if (!rng.chance(0.01)) continue;  // kill -9, and on from the last checkpoint
      index -= rng.below(std::min<std::uint64_t>(index, 50) + 1);
      reader = std::make_unique<Reader>(folder.path() / "order", data);
    }
    std::set<std::pair<std::uint32_t, std::uint64_t>> once;
    for (const TokenRange& range : read) once.insert({range.shard, range.first});
    EXPECT_EQ(once.size(), samples);
    EXPECT_TRUE(reader->read(samples)) << "the second epoch is shuffled";
  }
}

TEST(ArrivalOrder, NeverWaitsWhileABlockIsHereThatWasNotRead) {
  const TemporaryFolder folder;
  Arriving data(3);
  Reader reader(folder.path() / "order", data);
  EXPECT_FALSE(reader.read(0));
  std::uint64_t waits = 0, index = 0;
  for (data.now = 100; data.now < 2000 && index < reader.order.samples_per_epoch(); ++data.now) {
    if (reader.read(index)) {
      ++index;
      continue;
    }
    ++waits;
    for (std::uint32_t block = 0; block < 80; ++block)
      EXPECT_TRUE(reader.order.is_taken(block) ||
                  data.here(reader.order.blocks()[block]).value() == Presence::kNotYet);
  }
  EXPECT_GT(index, 500U);
  EXPECT_GT(waits, 0U) << "12 samples a block, 25 ticks from block to block: it must wait at times";
}

TEST(ArrivalOrder, OfSeveralWhoChooseAllReadTheSame) {
  const TemporaryFolder folder;
  Arriving here(5), late(5);  // one sees what arrives later than the other, by turns
  Reader first(folder.path() / "order", here), second(folder.path() / "order", late);
  Rng rng(5, "arrival.race");
  const std::uint64_t samples = first.order.samples_per_epoch();
  std::uint64_t a = 0, b = 0;
  std::vector<TokenRange> read_a, read_b;
  for (std::uint64_t now = 0; a < samples || b < samples; ++now) {
    here.now = now;
    late.now = now > 40 ? now - 40 : 0;
    if (rng.chance(0.5)) std::swap(here.now, late.now);
    if (a < samples)
      if (const auto range = first.read(a)) read_a.push_back(*range), ++a;
    if (b < samples)
      if (const auto range = second.read(b)) read_b.push_back(*range), ++b;
    ASSERT_LT(now, 10'000U);
  }
  EXPECT_EQ(read_a, read_b);
}

TEST(ArrivalOrder, WhereAllIsHereIsShuffled) {
  const TemporaryFolder folder;
  Arriving data(1);
  data.now = 2000;
  Reader reader(folder.path() / "order", data);
  ASSERT_TRUE(reader.read(reader.order.samples_per_epoch() - 1));
  EXPECT_EQ(reader.order.turns(), 5U);  // of 16 blocks
  std::set<std::uint32_t> shards;
  for (std::uint64_t index = 0; index < 100; ++index) shards.insert(reader.read(index)->shard);
  EXPECT_EQ(shards.size(), 2U);
}

TEST(ArrivalOrder, RefusesARecordThatIsDamagedOrOfOtherData) {
  const TemporaryFolder folder;
  const Path record = folder.path() / "order/000000";
  Arriving data(1);
  data.now = 2000;
  ASSERT_TRUE(Reader(folder.path() / "order", data).read(0));
  const std::string whole = read_text(record, 4096).value();
  const auto replayed = [&](const std::string& text, const OrderOptions& options) {
    std::ofstream(record, std::ios::binary) << text;
    auto order = SampleOrder::make(data.shards(), options).value();
    return ArrivalOrder(folder.path() / "order", 7).replay(order);
  };
  EXPECT_TRUE(replayed(whole, kArrival));
  const Error damaged = replayed(whole + " ", kArrival).error();
  EXPECT_EQ(damaged.why(), "it is damaged");
  EXPECT_EQ(damaged.advice(), "start another --run, or bring back that file");
  for (std::size_t cut = 0; cut < whole.size(); ++cut) {
    EXPECT_EQ(replayed(whole.substr(0, cut), kArrival).error().kind(), Kind::kMalformed) << cut;
    std::string changed = whole;
    changed[cut] = static_cast<char>(changed[cut] ^ 1);
    EXPECT_EQ(replayed(changed, kArrival).error().kind(), Kind::kMalformed) << cut;
  }
  OrderOptions other = kArrival;
  other.sequence = 20;
  EXPECT_EQ(replayed(whole, other).error().why(), "it is of other data or another --sequence");
}

TEST(SampleOrder, TakesNoBlockTwiceAndNoneThatIsNone) {
  Arriving data(1);
  SampleOrder order = arrival_order_of(data);
  const std::vector<std::vector<std::uint32_t>> wrong = {{0}, {80}, {2, 2}, {3, 0}};
  ASSERT_TRUE(order.take(wrong[0]));
  for (const auto& blocks : wrong) EXPECT_EQ(order.take(blocks).error().kind(), Kind::kMalformed);
  EXPECT_EQ(order.turns(), 1U);
  EXPECT_TRUE(order.knows(11));
  EXPECT_FALSE(order.knows(12));
}

}  // namespace
}  // namespace longhaul::trainer
