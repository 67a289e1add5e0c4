// A dataset read while it arrives, in every order, with poison where nothing has arrived.
#include "lib/client/feed.hpp"

#include <gtest/gtest.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <numeric>

#include "lib/base/rng.hpp"
#include "lib/client/longhaul.h"
#include "lib/io/posix_files.hpp"
#include "lib/store/manifest_file.hpp"
#include "tests/gateway/door.hpp"

namespace longhaul::client {
namespace {

namespace fs = std::filesystem;
using Presence = Feed::Presence;

constexpr std::uint32_t kChunkBytes = 1000;
constexpr std::size_t kPerFile = 8;  // chunks
constexpr char kPoison = 'x';

// A dataset of two files of 8 chunks, with a hole in the second; what has not arrived is poison.
std::string manifest_text(const store::Tree& tree) {
  return std::string(text_of(store::manifest_header(tree))) + std::string(text_of(tree.bytes()));
}

enum class Way : std::uint8_t { kFiles, kGateway };

class FeedTest : public testing::TestWithParam<Way> {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "feed-XXXXXX";
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    root_ = pattern;
    fs::create_directories(root_ / ".longhaul/manifests/words");
    fs::create_directories(root_ / "datasets/words");
    Rng rng(7, "feed.content");
    for (std::string& file : content_) {
      file.resize(kPerFile * kChunkBytes);
      for (char& c : file) c = static_cast<char>('a' + rng.below(20));
    }
    content_[1].replace(5 * kChunkBytes, kChunkBytes, std::string(kChunkBytes, '\0'));
    tree_ = tree_of(content_);
    place_ = root_;
    if (GetParam() == Way::kFiles) return;
    door_ = std::make_unique<gateway::Door>(root_);
    place_ = "gateway:" + door_->file();
  }
  void TearDown() override {
    door_.reset();
    fs::remove_all(root_);
  }

  static store::Tree tree_of(const std::array<std::string, 2>& content) {
    store::TreeBuilder builder;
    for (std::size_t f = 0; f < 2; ++f) {
      store::Entry entry;
      entry.name = store::TreeName::known(f == 0 ? "a.bin" : "b.bin");
      entry.mode = 0644;
      entry.size = content[f].size();
      std::vector<store::Piece> pieces;
      for (std::size_t at = 0; at < content[f].size(); at += kChunkBytes) {
        const std::string_view bytes = std::string_view(content[f]).substr(at, kChunkBytes);
        const bool hole = bytes[0] == '\0';
        pieces.push_back({kChunkBytes, hole, hole ? store::ChunkId() : crypto::sha256(bytes)});
      }
      EXPECT_TRUE(builder.add(entry, pieces));
    }
    return builder.finish().value();
  }
  fs::path at(const store::TreeName& name) const { return root_ / name.text(); }
  static void put(const fs::path& path, std::string_view bytes) {
    fs::create_directories(path.parent_path());
    std::ofstream(path, std::ios::binary) << bytes;
  }
  fs::path incoming(std::size_t f) const {
    return at(store::incoming_tree(words_)) / (f == 0 ? "a.bin" : "b.bin");
  }
  void begin_push(const store::Tree& tree) {
    for (std::size_t f = 0; f < 2; ++f)
      put(incoming(f), std::string(kPerFile * kChunkBytes, kPoison));
    put(at(store::incoming_manifest(words_)), manifest_text(tree));
  }
  void arrive(std::size_t number) {  // of all
    const std::size_t f = number / kPerFile, offset = number % kPerFile * kChunkBytes;
    std::fstream file(incoming(f), std::ios::binary | std::ios::in | std::ios::out);
    file.seekp(static_cast<std::streamoff>(offset));
    file.write(content_[f].data() + offset, kChunkBytes);
  }
  void publish(std::uint32_t number, const store::Tree& tree) {
    const store::VersionNo version(number);
    const fs::path folder = at(store::Root::folder_of(words_, version));
    put(at(store::Root::manifest_of(words_, version)), manifest_text(tree));
    fs::rename(at(store::incoming_tree(words_)), folder);
    fs::remove_all(at(store::incoming_folder(words_)));
    fs::remove(root_ / "datasets/words/current");
    fs::create_symlink(store::to_text(version), root_ / "datasets/words/current");
  }
  std::unique_ptr<Feed> open(std::string dataset = "words", std::string identity = "") const {
    return Feed::open({.root = place_,
                       .dataset = std::move(dataset),
                       .identity = std::move(identity),
                       .cache_bytes = 6 * kChunkBytes})
        .value();
  }
  // Reads [offset, offset + size) and judges what came.
  Presence read(Feed& feed, std::size_t f, std::size_t offset, std::size_t size) const {
    std::string out(size, '-');
    const Presence presence = feed.read(f, offset, as_writable(out)).value();
    if (presence == Presence::kHere)
      EXPECT_EQ(out, content_[f].substr(offset, size)) << f << " at " << offset;
    else
      EXPECT_EQ(out, std::string(size, '-')) << "left alone";
    return presence;
  }
  static MutableBytes as_writable(std::string& text) {
    return std::as_writable_bytes(std::span(text.data(), text.size()));
  }

  fs::path root_;
  std::string place_;  // as a feed is told of it
  std::unique_ptr<gateway::Door> door_;
  store::DatasetName words_ = store::DatasetName::parse("words").value();
  std::array<std::string, 2> content_;
  store::Tree tree_;
};

TEST_P(FeedTest, NoPoisonIsReadInAnyOrderOfArrival) {
  Rng rng(3, "feed.orders");
  std::vector<std::size_t> order(2 * kPerFile);
  // Through a gateway each look is a question to another thread: fewer are asked.
  const int rounds = GetParam() == Way::kFiles ? 1000 : 100;
  for (int round = 0; round < rounds; ++round) {
    begin_push(tree_);
    const auto feed = open();
    ASSERT_EQ(feed->ready().value(), Presence::kHere);
    std::iota(order.begin(), order.end(), std::size_t{0});
    for (std::size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[rng.below(i)]);
    std::array<bool, 2 * kPerFile> here{};
    here[kPerFile + 5] = true;  // the hole
    for (const std::size_t number : order) {
      const std::size_t f = rng.below(2), offset = rng.below(kPerFile * kChunkBytes - 1);
      const std::size_t size =
          1 + rng.below(std::min<std::size_t>(2500, kPerFile * kChunkBytes - offset));
      bool all = true;
      for (std::size_t c = offset / kChunkBytes; c * kChunkBytes < offset + size; ++c)
        all = all && here[f * kPerFile + c];
      ASSERT_EQ(read(*feed, f, offset, size), all ? Presence::kHere : Presence::kNotYet)
          << "round " << round;
      arrive(number);
      here[number] = true;
    }
    for (std::size_t f = 0; f < 2; ++f)
      ASSERT_EQ(read(*feed, f, 0, kPerFile * kChunkBytes), Presence::kHere);
  }
}

TEST_P(FeedTest, FollowsThePushIntoItsVersion) {
  const auto feed = open();
  EXPECT_EQ(feed->ready().value(), Presence::kNotYet);
  EXPECT_NE(feed->waiting_for().find("manifest of words"), std::string::npos);
  begin_push(tree_);
  ASSERT_EQ(feed->ready().value(), Presence::kHere);
  ASSERT_EQ(feed->files().size(), 2U);
  EXPECT_EQ(feed->files()[1].name, "b.bin");
  EXPECT_EQ(read(*feed, 0, 100, 10), Presence::kNotYet);
  EXPECT_NE(feed->waiting_for().find("of a.bin"), std::string::npos);
  for (std::size_t number = 0; number < 2 * kPerFile; ++number) arrive(number);
  publish(1, tree_);
  EXPECT_EQ(read(*feed, 0, 100, 10), Presence::kHere);
  const std::string identity = feed->identity();
  EXPECT_EQ(identity, "words sha256:" + tree_.root().hex());

  // A newer version: who read the older one before goes on with that.
  content_[0][0] = 'A';
  const store::Tree newer = tree_of(content_);
  begin_push(newer);
  for (std::size_t number = 0; number < 2 * kPerFile; ++number) arrive(number);
  publish(2, newer);
  const auto newest = open();
  ASSERT_EQ(newest->ready().value(), Presence::kHere);
  EXPECT_NE(newest->identity(), identity);
  EXPECT_EQ(read(*newest, 0, 0, 10), Presence::kHere);
  for (const char* name : {"words", "words@v000001"}) {
    const auto again = open(name, identity);
    ASSERT_EQ(again->ready().value(), Presence::kHere) << name;
    EXPECT_EQ(again->identity(), identity);
  }
  EXPECT_EQ(open("words@v000002", identity)->ready().error().kind(), Kind::kNotFound);
  EXPECT_EQ(open("words@v000003")->ready().error().kind(), Kind::kNotFound);
}

TEST_P(FeedTest, WhatDidNotChangeIsReadFromTheVersionBefore) {
  begin_push(tree_);
  for (std::size_t number = 0; number < 2 * kPerFile; ++number) arrive(number);
  publish(1, tree_);
  content_[1][0] = 'A';
  begin_push(tree_of(content_));
  fs::remove(incoming(0));  // never sent
  const auto feed = open("words@incoming");
  ASSERT_EQ(feed->ready().value(), Presence::kHere);
  EXPECT_EQ(read(*feed, 0, 0, kPerFile * kChunkBytes), Presence::kHere);
  EXPECT_EQ(read(*feed, 1, 0, 10), Presence::kNotYet);
  arrive(kPerFile);
  EXPECT_EQ(read(*feed, 1, 0, 10), Presence::kHere);
}

TEST_P(FeedTest, ASourceThatChangesOnTheWayAndRotAreErrors) {
  begin_push(tree_);
  const auto feed = open();
  ASSERT_EQ(feed->ready().value(), Presence::kHere);
  content_[0][0] = 'A';
  begin_push(tree_of(content_));
  std::string out(10, '-');
  const Error changed = feed->read(0, 0, as_writable(out)).error();
  EXPECT_EQ(changed.kind(), Kind::kChanged);
  EXPECT_EQ(changed.why(), "its source was changed while it was on its way");
  for (std::size_t number = 0; number < 2 * kPerFile; ++number) arrive(number);
  publish(1, tree_of(content_));
  std::fstream(root_ / "datasets/words/v000001/a.bin") << "rot";
  const auto rotten = open();
  ASSERT_EQ(rotten->ready().value(), Presence::kHere);
  const Error rot = rotten->read(0, 0, as_writable(out)).error();
  EXPECT_EQ(rot.kind(), Kind::kIntegrity);
  EXPECT_EQ(rot.why(), "a chunk does not have the hash that the manifest names");
  EXPECT_EQ(rot.advice(), "longhaul verify names what is damaged");
  EXPECT_EQ(read(*rotten, 0, kChunkBytes, 10), Presence::kHere);
  EXPECT_EQ(rotten->read(0, kPerFile * kChunkBytes - 5, as_writable(out)).error().message(),
            "read a dataset: the range lies beyond the file");
  put(at(store::Root::manifest_of(words_, store::VersionNo(1))), "longhaul manifest 1\nand rot");
  EXPECT_FALSE(open()->ready());
  const Error version = Feed::open({.root = root_, .dataset = "words@v1"}).error();
  EXPECT_EQ(version.kind(), Kind::kUsage);
  EXPECT_EQ(version.why(), "behind the @ stands a version, v000001, or the word incoming");
  const Error none = Feed::open({.root = root_ / "none", .dataset = "words"}).error();
  EXPECT_EQ(none.kind(), Kind::kNotFound);
  EXPECT_EQ(none.why(), "that is no streamer's root, or another user's");
}

// A gateway hears a reader's last word after that has gone.
bool soon(const std::function<bool()>& true_at_last) {
  for (int tries = 0; tries < 600 && !true_at_last(); ++tries) ::poll(nullptr, 0, 100);
  return true_at_last();
}

// What it tells the streamer, as the streamer reads it.
TEST_P(FeedTest, SaysWhatItNeedsUntilItIsAVersion) {
  const auto said = [this] {
    const auto files = io::PosixFiles::at(root_.native()).value();
    return store::read_demand(*files, words_);
  };
  auto feed = open();
  EXPECT_FALSE(said().has_value());
  ASSERT_EQ(feed->ready().value(), Presence::kNotYet);
  ASSERT_TRUE(said().has_value()) << "the manifest is waited for";
  EXPECT_TRUE(said()->chunks.empty());

  begin_push(tree_);
  ASSERT_EQ(feed->ready().value(), Presence::kHere);
  // Part of the second chunk and of the third; then from the hole at 5 to behind the end; then
  // nonsense.
  const std::array<Feed::Range, 3> ranges = {
      {{0, kChunkBytes + 1, kChunkBytes}, {1, 5 * kChunkBytes, ~0ULL}, {9, 0, 1}}};
  feed->need(ranges, 1);
  store::Demand expected;
  for (const auto& [f, at] : {std::pair(0, 1), {0, 2}, {1, 6}, {1, 7}})
    expected.chunks.push_back(
        crypto::sha256(std::string_view(content_[static_cast<std::size_t>(f)])
                           .substr(static_cast<std::size_t>(at) * kChunkBytes, kChunkBytes)));
  expected.urgent = 2;
  EXPECT_EQ(said(), expected);

  fs::remove_all(at(store::demand_folder(words_)));    // as the publish of another version does
  if (GetParam() == Way::kGateway) feed->need({}, 0);  // else the same is said every kReaderSays
  feed->need(ranges, 1);
  EXPECT_EQ(said(), expected);
  auto second = open();
  ASSERT_EQ(second->ready().value(), Presence::kHere);
  second->need(std::span(ranges).first(1), 0);
  EXPECT_EQ(said(), expected) << "the second reader's chunks are among the first one's";
  feed.reset();
  expected = {{expected.chunks[0], expected.chunks[1]}, 0};
  EXPECT_TRUE(soon([&] { return said() == expected; }));
  second.reset();
  EXPECT_TRUE(soon([&] { return !said().has_value(); }));
}

TEST_P(FeedTest, ServesPlainC) {
  begin_push(tree_);
  arrive(3);
  const std::string root = place_;
  longhaul_feed_options options{};
  options.size = sizeof options;
  options.root = root.c_str();
  options.dataset = "words";
  char why[200] = "", out[10] = "";
  longhaul_feed* feed = longhaul_feed_open(&options, why, sizeof why);
  ASSERT_NE(feed, nullptr) << why;
  ASSERT_EQ(longhaul_feed_ready(feed, why, sizeof why), LONGHAUL_HERE);
  EXPECT_EQ(longhaul_feed_files(feed), 2U);
  EXPECT_STREQ(longhaul_feed_name(feed, 0), "a.bin");
  EXPECT_EQ(longhaul_feed_bytes(feed, 1), kPerFile * kChunkBytes);
  EXPECT_EQ(longhaul_feed_read(feed, 0, 0, out, sizeof out, why, sizeof why), LONGHAUL_NOT_YET);
  EXPECT_EQ(longhaul_feed_read(feed, 0, 3001, out, sizeof out, why, sizeof why), LONGHAUL_HERE);
  EXPECT_EQ(std::string(out, sizeof out), content_[0].substr(3001, sizeof out));
  EXPECT_EQ(longhaul_feed_read(feed, 9, 0, out, sizeof out, why, sizeof why), LONGHAUL_BROKEN);
  EXPECT_NE(std::string(why), "");
  longhaul_feed_close(feed);
}

TEST(FeedThroughAGateway, WaitsForOneThatIsAway) {
  std::string pattern = testing::TempDir() + "feed-away-XXXXXX";
  ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
  fs::create_directories(fs::path(pattern) / ".longhaul");
  {
    gateway::Door door(pattern);
    const auto feed = Feed::open({.root = "gateway:" + door.file(), .dataset = "words"}).value();
    ASSERT_EQ(feed->ready().value(), Presence::kNotYet);
    EXPECT_EQ(feed->waiting_for(), "the manifest of words");
    door.close();
    ASSERT_EQ(feed->ready().value(), Presence::kNotYet) << "not an error that ends a training";
    EXPECT_NE(feed->waiting_for().find("an answer through the gateway at ipc:///"),
              std::string::npos)
        << feed->waiting_for();
    door.open();
    for (int tries = 0; tries < 600 && feed->waiting_for() != "the manifest of words"; ++tries) {
      ASSERT_EQ(feed->ready().value(), Presence::kNotYet);
      ::poll(nullptr, 0, 100);
    }
    EXPECT_EQ(feed->waiting_for(), "the manifest of words");
    door.allow({});
    door.skip(gateway::kPassesReadEach);
    EXPECT_EQ(feed->ready().error().kind(), Kind::kAuth);
  }
  fs::remove_all(pattern);
}

INSTANTIATE_TEST_SUITE_P(Ways, FeedTest, testing::Values(Way::kFiles, Way::kGateway),
                         [](const auto& way) {
                           return way.param == Way::kFiles ? "Files" : "Gateway";
                         });

}  // namespace
}  // namespace longhaul::client
