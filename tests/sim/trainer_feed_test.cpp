// A trainer that reads a corpus while it crosses the link, in virtual time: the push, its staging
// and the demand lane as they are, and of the trainer what decides which samples are read and what
// is asked for.
#include <gtest/gtest.h>

#include "lib/store/incoming.hpp"
#include "lib/store/manifest_file.hpp"
#include "tests/transfer/world.hpp"
#include "trainer/lookahead.hpp"

namespace longhaul::test {
namespace {

using trainer::TokenRange;

constexpr std::uint64_t kShards = 16, kShardBytes = 8U << 20;  // 128 MiB at 1 MB/s: 134 s
constexpr std::uint64_t kTokens = 1023, kBatch = 8;            // 16 KiB a step
constexpr std::uint64_t kBlockBytes = 512U << 10, kWindow = 2;
constexpr Duration kStep = 800ms;  // 20 KB/s: a window takes 51 s
constexpr std::uint64_t kRing = 16;
const store::DatasetName kData = store::DatasetName::parse("data").value();

std::string shard_name(std::uint64_t shard) {
  return {'s', static_cast<char>('a' + shard)};  // in the manifest's order
}

class Trainer {
 public:
  explicit Trainer(World& world)
      : world_(world),
        order_(trainer::SampleOrder::make(infos(), {.seed = 3,
                                                    .sequence = kTokens,
                                                    .window_blocks = kWindow,
                                                    .block_bytes = kBlockBytes})
                   .value()),
        lookahead_({.sample_bytes = kTokens * 2, .block_bytes = kBlockBytes}) {
    Rng rng(1, "corpus");
    for (std::uint64_t shard = 0; shard < kShards; ++shard) {
      put_file(world.disk(End::kA), "src/" + shard_name(shard), random_bytes(rng, kShardBytes));
    }
  }

  // The loader's thread: fills its ring as far as the data is here. The training thread: a batch
  // each kStep, or it waits. Both until `time` has passed.
  void run_for(Duration time) {
    const Time end = world_.link().now() + time;
    while (world_.link().now() < end) {
      const Time now = world_.link().now();
      fill_ring();
      if (taken_ == 0) next_step_ = now;
      if (filled_ > taken_ && now >= next_step_) {
        ++taken_;
        next_step_ += kStep;
      } else if (now >= next_step_) {
        waited_ += taken_ > 0 ? now - next_step_ : Duration::zero();
        next_step_ = now;
      }
      world_.link().run_until([] { return false; }, kTick);
      ASSERT_GT(world_.link().now(), now) << "nothing goes on";
    }
  }
  Duration waited() const { return waited_; }  // since the first step
  std::uint64_t steps() const { return taken_; }
  bool all_is_here() {
    for (std::uint64_t shard = 0; shard < kShards; ++shard)
      if (!is_here({static_cast<std::uint32_t>(shard), 0, kShardBytes / 2})) return false;
    return true;
  }

 private:
  static constexpr Duration kTick = 100ms;
  static std::vector<trainer::ShardInfo> infos() {
    std::vector<trainer::ShardInfo> out;
    for (std::uint64_t shard = 0; shard < kShards; ++shard)
      out.push_back({shard_name(shard), kShardBytes / 2, 2});
    return out;
  }
  bool is_here(const TokenRange& range) {
    const auto name = store::TreeName::known(shard_name(range.shard));
    const ByteVector staged = read(End::kB, name.under(store::incoming_tree(kData)), range);
    return !staged.empty() &&
           staged == read(End::kA, name.under(store::TreeName::known("src")), range);
  }
  ByteVector read(End end, const store::TreeName& name, const TokenRange& range) {
    auto file = world_.disk(end).open(name, store::Access::kRead);
    ByteVector out(range.count * 2);
    const auto bytes = file ? (*file)->read_at(out, range.first * 2) : 0;
    return bytes && *bytes == out.size() ? out : ByteVector();
  }
  void fill_ring() {
    if (chunks_.empty() && !learn_chunks()) return;
    while (filled_ - taken_ + 1 < kRing) {
      const std::uint64_t index = filled_ * kBatch;
      if (const auto soon = lookahead_.due(order_, index, world_.link().now())) ask(*soon);
      for (std::uint64_t i = 0; i < kBatch; ++i)
        if (!is_here(order_.at(index + i))) return;
      ++filled_;
    }
  }
  struct Chunk {
    std::uint64_t offset, bytes;
    store::ChunkId id;
  };
  bool learn_chunks() {
    const auto name = store::incoming_manifest(kData);
    if (!world_.disk(End::kB).stat(name)) return false;
    const store::Tree tree = store::read_manifest(world_.disk(End::kB), name).value();
    for (store::TreeWalk walk(tree); walk.next();) {
      if (walk.entry().type != store::EntryType::kFile) continue;
      std::uint64_t offset = 0;
      chunks_.emplace_back();
      for (const store::Piece& piece : walk.pieces()) {
        chunks_.back().push_back({offset, piece.length, piece.chunk});
        offset += piece.length;
      }
    }
    return true;
  }
  void ask(const std::vector<TokenRange>& soon) {
    store::Demand demand;
    for (std::size_t i = 0; i < soon.size(); ++i) {
      const std::uint64_t begin = soon[i].first * 2, end = begin + soon[i].count * 2;
      for (const Chunk& chunk : chunks_[soon[i].shard])
        if (chunk.offset < end && chunk.offset + chunk.bytes > begin)
          demand.chunks.push_back(chunk.id);
      if (i < kWindow) demand.urgent = static_cast<std::uint32_t>(demand.chunks.size());
    }
    store::Files& files = world_.disk(End::kB);
    ASSERT_TRUE(store::make_folders(files, store::demand_folder(kData)));
    const auto name = store::demand_folder(kData).child("reader").value();
    ASSERT_TRUE(store::write_whole(files, name, store::to_bytes(demand)));
  }

  World& world_;
  trainer::SampleOrder order_;
  trainer::Lookahead lookahead_;
  std::vector<std::vector<Chunk>> chunks_;  // of each shard
  std::uint64_t filled_ = 0, taken_ = 0;
  Time next_step_{};
  Duration waited_{};
};

TEST(TrainerFeed, P1AnOutageOfTenMinutesInTheUploadCostsTheTrainerNoStep) {
  DoubleLink shape;
  shape.one_way = 90ms;
  shape.rate = BytesPerSecond::from_bits(8'000'000);
  World world(1, shape, World::At::kSite);
  Trainer trainer(world);
  world.push("data", "src", true);
  trainer.run_for(100s);
  const std::uint64_t before = trainer.steps();
  ASSERT_GT(before, 100U);
  ASSERT_FALSE(trainer.all_is_here());
  world.link().set_link(session::LinkState::kDown);
  trainer.run_for(600s);
  EXPECT_FALSE(trainer.all_is_here());
  EXPECT_GE(trainer.steps() - before + 1, 600s / kStep);
  EXPECT_EQ(trainer.waited(), Duration::zero());
  world.link().set_link(session::LinkState::kUp);
  trainer.run_for(20s);
  EXPECT_EQ(trainer.waited(), Duration::zero());
  const auto finished = world.run(End::kA);
  ASSERT_TRUE(finished && !finished->error);
}

}  // namespace
}  // namespace longhaul::test
