// What the trainer does while a dataset is on its way.
#include "trainer/client/feed_source.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>

#include "lib/base/rng.hpp"
#include "lib/store/incoming.hpp"
#include "lib/store/manifest_file.hpp"
#include "tests/trainer/temporary_folder.hpp"
#include "trainer/loader.hpp"

namespace longhaul::trainer {
namespace {

FeedOpening opening_of(const TemporaryFolder& folder) {
  FeedOpening opening;
  opening.store = folder.path();
  opening.dataset = "words";
  opening.say = [](const std::string&) {};
  return opening;
}

TEST(FeedSource, DoesWhatElseIsToBeDoneBeforeItWaits) {
  const TemporaryFolder folder;
  std::filesystem::create_directories(folder.path() / ".longhaul");
  FeedOpening opening = opening_of(folder);
  int done = 0, looks = 0;
  opening.meanwhile = [&]() -> Result<> {
    ++done;
    return {};
  };
  opening.stop_asked = [&] {
    EXPECT_EQ(done, 1);
    return ++looks == 3;
  };
  const auto source = FeedSource::open(opening);
  ASSERT_FALSE(source);
  EXPECT_EQ(source.error().kind(), Kind::kInterrupted);
  EXPECT_EQ(done, 1);
}

TEST(FeedSource, WhatFailsMeanwhileEndsIt) {
  const TemporaryFolder folder;
  std::filesystem::create_directories(folder.path() / ".longhaul");
  FeedOpening opening = opening_of(folder);
  opening.meanwhile = [] { return Result<>(fail(Kind::kNotFound, "read the first weights")); };
  opening.stop_asked = [] { return false; };
  const auto source = FeedSource::open(opening);
  ASSERT_FALSE(source);
  EXPECT_EQ(source.error().kind(), Kind::kNotFound);
}

constexpr std::size_t kChunkBytes = 300;
// The chunks of which a source asks what kind of shards these are.
constexpr std::size_t kBeginning =
    (kShardHeaderBytes + kChunkBytes - 1) / kChunkBytes * kChunkBytes;
constexpr std::uint64_t kIds = 400, kVocab = 500, kSequence = 10;

// A push of two shards, llm.c's or bare ids, that has named everything; what has not arrived is
// poison: an id that no shard holds, in the vocabulary or over it. Half a chunk arrives at a time,
// in an order drawn from the seed, but for the beginning of the first shard, without which there is
// no source yet.
class Push {
 public:
  Push(const std::filesystem::path& root, std::uint64_t seed)
      : folder_(root / store::incoming_tree(kWords).text()),
        header_bytes_((seed & 2) != 0 ? kShardHeaderBytes : 0) {
    Rng rng(seed, "push");
    const std::uint16_t poison = (seed & 1) != 0 ? 450 : 60'000;
    store::TreeBuilder builder;
    std::filesystem::remove_all(folder_);  // some file systems flush what is written over a file
    std::filesystem::remove(root / store::incoming_manifest(kWords).text());
    std::filesystem::create_directories(folder_);
    for (std::size_t f = 0; f < 2; ++f) {
      const std::uint64_t tokens = f == 0 ? 900 : 777;
      content_[f].resize(header_bytes_ + 2 * tokens);
      const MutableBytes bytes(content_[f]);
      if (header_bytes_ > 0) {
        store_le(bytes, kShardMagic16);
        store_le(bytes.subspan(4), std::uint32_t{1});
        store_le(bytes.subspan(8), static_cast<std::uint32_t>(tokens));
      }
      for (std::size_t at = header_bytes_; at < bytes.size(); at += 2)
        store_le(bytes.subspan(at), static_cast<std::uint16_t>(rng.below(kIds)));
      name_file(f, builder);
      ByteVector poisoned(bytes.size());
      for (std::size_t at = 0; at < bytes.size(); at += 2)
        store_le(MutableBytes(poisoned).subspan(at), poison);
      std::ofstream(folder_ / kNames[f], std::ios::binary) << text_of(poisoned);
    }
    const store::Tree tree = builder.finish().value();
    std::ofstream(root / store::incoming_manifest(kWords).text(), std::ios::binary)
        << text_of(store::manifest_header(tree)) << text_of(tree.bytes());
    for (std::size_t i = pieces_.size(); i > 1; --i)
      std::swap(pieces_[i - 1], pieces_[rng.below(i)]);
    std::stable_partition(pieces_.begin(), pieces_.end(), [](const Piece& piece) {
      return piece.file == 0 && piece.begin < kBeginning;
    });
  }
  bool all_is_here() const { return arrived_ == pieces_.size(); }
  void arrive() {
    if (all_is_here()) return;
    const auto [f, begin, end] = pieces_[arrived_++];
    std::fstream file(folder_ / kNames[f], std::ios::binary | std::ios::in | std::ios::out);
    file.seekp(static_cast<std::streamoff>(begin));
    file << text_of(Bytes(content_[f]).subspan(begin, end - begin));
  }
  void arrive_beginning() {
    while (pieces_[arrived_].file == 0 && pieces_[arrived_].begin < kBeginning) arrive();
  }
  std::vector<ShardInfo> shards() const {
    return {{kNames[0], (content_[0].size() - header_bytes_) / 2, 2},
            {kNames[1], (content_[1].size() - header_bytes_) / 2, 2}};
  }
  std::int64_t id(const TokenRange& range, std::uint64_t i) const {
    const Bytes bytes(content_[range.shard]);
    return load_le<std::uint16_t>(bytes.subspan(header_bytes_ + 2 * (range.first + i)));
  }

 private:
  struct Piece {
    std::size_t file, begin, end;
  };
  static constexpr std::array<const char*, 2> kNames = {"a.bin", "b.bin"};
  inline static const store::DatasetName kWords = store::DatasetName::parse("words").value();

  void name_file(std::size_t f, store::TreeBuilder& builder) {
    const Bytes bytes(content_[f]);
    store::Entry entry;
    entry.name = store::TreeName::known(kNames[f]);
    entry.mode = 0644;
    entry.size = bytes.size();
    std::vector<store::Piece> chunks;
    for (std::size_t at = 0; at < bytes.size(); at += kChunkBytes) {
      const Bytes chunk = bytes.subspan(at, std::min(kChunkBytes, bytes.size() - at));
      chunks.push_back({chunk.size(), false, crypto::sha256(chunk)});
      const std::size_t half = at + chunk.size() / 2;
      pieces_.push_back({f, at, half});
      pieces_.push_back({f, half, at + chunk.size()});
    }
    EXPECT_TRUE(builder.add(entry, chunks));
  }

  std::filesystem::path folder_;
  std::uint64_t header_bytes_;
  std::array<ByteVector, 2> content_;
  std::vector<Piece> pieces_;  // in the order of arrival
  std::size_t arrived_ = 0;
};

// A feed into which more arrives whenever it is waited for, and at times before it is read: all on
// the loader's thread, so that a seed is an order of reads as well, and nothing sleeps. What will
// be needed is not passed on: nobody hears it here, and 7 files a seed, renamed over others, took
// 20 s of 33.
class ArrivingFeed final : public DataSource {
 public:
  struct Seen {
    std::uint64_t there = 0, not_yet = 0;
  };
  ArrivingFeed(std::unique_ptr<DataSource> feed, Push& push, std::uint64_t seed, Seen& seen)
      : feed_(std::move(feed)), push_(push), rng_(seed, "feed.paces"), seen_(seen) {}
  const std::vector<ShardInfo>& shards() const override { return feed_->shards(); }
  std::string identity() const override { return feed_->identity(); }
  Result<Presence> read(const TokenRange& range, std::span<Token> out) override {
    if (rng_.chance(0.1)) push_.arrive();
    const Presence presence = TRY(feed_->read(range, out));
    ++(presence == Presence::kThere ? seen_.there : seen_.not_yet);
    if (presence == Presence::kNotYet && push_.all_is_here())
      return fail(Kind::kIo, "read tokens", "all is here, and it waits");
    return presence;
  }
  void wait_for_arrival(Duration) override { push_.arrive(); }
  std::string waiting_for(const TokenRange& range) const override {
    return feed_->waiting_for(range);
  }

 private:
  std::unique_ptr<DataSource> feed_;
  Push& push_;
  Rng rng_;
  Seen& seen_;
};

// An epoch of batches, each held against what was pushed.
void read_an_epoch(const TemporaryFolder& folder, std::uint64_t seed, ArrivingFeed::Seen& seen) {
  Push push(folder.path(), seed);
  FeedOpening opening = opening_of(folder);
  opening.cache_bytes = 4 * kChunkBytes;  // most are read and checked again and again
  opening.stop_asked = [] { return true; };
  opening.meanwhile = [&]() -> Result<> {
    push.arrive_beginning();
    return {};
  };
  auto feed = FeedSource::open(opening);
  ASSERT_TRUE(feed) << feed.error().message();
  const OrderOptions options{.seed = seed, .sequence = kSequence, .block_bytes = 400};
  SampleOrder expected = SampleOrder::make(push.shards(), options).value();
  auto order = SampleOrder::make((*feed)->shards(), options);
  ASSERT_TRUE(order);
  Loader loader(std::make_unique<ArrivingFeed>(*std::move(feed), push, seed, seen),
                *std::move(order), kSequence, {.global_batch = 8, .vocab = kVocab});
  std::vector<std::int64_t> tokens, targets;
  for (std::uint64_t sample = 0; sample < expected.samples_per_epoch();) {
    const auto batch = loader.take();
    ASSERT_TRUE(batch) << batch.error().message();
    tokens.clear();
    targets.clear();
    for (const std::uint64_t end = sample + 8; sample < end; ++sample) {
      const TokenRange range = expected.at(sample);
      for (std::uint64_t i = 0; i < kSequence; ++i) {
        tokens.push_back(push.id(range, i));
        targets.push_back(push.id(range, i + 1));
      }
    }
    ASSERT_EQ((*batch)->tokens, tokens);
    ASSERT_EQ((*batch)->targets, targets);
  }
}

TEST(FeedSource, NoPoisonReachesABatchInAnyOrderOfArrival) {
  const TemporaryFolder folder;
  ArrivingFeed::Seen seen;
  for (std::uint64_t seed = 0; seed < 1000; ++seed) {
    ASSERT_NO_FATAL_FAILURE(read_an_epoch(folder, seed, seen)) << "seed " << seed;
  }
  EXPECT_GT(seen.there, 100'000U);
  EXPECT_GT(seen.not_yet, 10'000U) << "or little poison was in the way";
}

}  // namespace
}  // namespace longhaul::trainer
