// Files of which the base has another form: what their names cost, for peers that understand parts
// of the base's files and those that do not; and parts that cannot be.
#include <gtest/gtest.h>

#include <charconv>

#include "lib/session/handshake.hpp"
#include "tests/transfer/world.hpp"

namespace longhaul::test {
namespace {

using session::Lane;
using store::TreeName;
using wire::TransferMessage;

constexpr std::size_t kLargeBytes = 24U << 20;  // some 380 chunks

// All but what may be written, which of a version is nothing.
std::map<std::string, std::string> read_only(std::map<std::string, std::string> entries) {
  for (auto& [name, entry] : entries) {
    if (entry[0] != '1' && entry[0] != '2') continue;  // a link has no mode
    const std::size_t end = entry.find(' ', 3);
    unsigned mode = 0;
    std::from_chars(entry.data() + 3, entry.data() + end, mode);
    entry.replace(3, end - 3, std::to_string(mode & ~0222U));
  }
  return entries;
}

void expect_arrived(World& world) {
  EXPECT_EQ(read_only(snapshot(world.disk(End::kB), TreeName::known("datasets/data/v000002"))),
            read_only(snapshot(world.disk(End::kA), TreeName::known("src"))));
}

Finished expect_done(World& world) {
  auto finished = world.run(End::kA);
  if (!finished) {
    ADD_FAILURE() << "the transfer did not end";
    return {};
  }
  EXPECT_FALSE(finished->error.has_value()) << finished->error->message();
  return *finished;
}

// What the segments of a world's pushes say.
struct Segments {
  explicit Segments(World& world) {
    world.link().tap([this](End, Lane, Slice message) -> std::optional<Slice> {
      const auto decoded = wire::decode<TransferMessage>(message);
      const auto* segment = decoded ? std::get_if<wire::Segment>(&*decoded) : nullptr;
      if (segment != nullptr) take(*segment, message.size());
      return message;
    });
  }
  void take(const wire::Segment& segment, std::size_t size) {
    bytes += size;
    std::size_t pieces = 0;
    for (const auto& record : segment.records) {
      for (const auto& piece : record.pieces) {
        const auto* part = std::get_if<wire::BasePart>(&piece);
        parts += part != nullptr ? 1U : 0U;
        chunks += std::holds_alternative<wire::Chunk>(piece) ? 1U : 0U;
        pieces += part != nullptr ? part->count : 1;
      }
    }
    most_pieces = std::max(most_pieces, pieces);
  }
  std::uint64_t bytes = 0, parts = 0, chunks = 0;
  std::size_t most_pieces = 0;
};

// The first push of a large file among small ones, then an edit in its middle.
struct Edited {
  explicit Edited(std::uint64_t seed, std::size_t size = kLargeBytes)
      : world(seed, {}, World::At::kSite) {
    content = random_bytes(world.rng(), size);
    put_file(world.disk(End::kA), "src/a", random_bytes(world.rng(), 3000));
    put_file(world.disk(End::kA), "src/large", content);
    put_file(world.disk(End::kA), "src/z", random_bytes(world.rng(), 3000));
    world.push("data");
    memory.base = expect_done(world).tree;
    content.insert(content.begin() + static_cast<std::ptrdiff_t>(size / 2), std::byte{1});
    put_file(world.disk(End::kA), "src/large", content);
  }
  // A push in a new session, by an end that knows so much of its peer.
  void push(std::optional<bool> peer_knows) {
    world.options(End::kA).peer_knows_base_parts = peer_knows;
    world.kill(End::kA);
    world.kill(End::kB);
    world.boot(End::kA);
    world.boot(End::kB);
    world.push("data", "src", false, memory);
  }
  World world;
  ByteVector content;
  transfer::SiteMemory memory;
};

TEST(BaseParts, OfALargeFileEditedInItsMiddleItsNamesCostFewBytes) {
  Edited edited(1);
  Segments said(edited.world);
  edited.push(true);
  const Finished end = expect_done(edited.world);
  expect_arrived(edited.world);
  EXPECT_GE(said.parts, 2U);   // around the edit; and one a segment, as hashing goes on
  EXPECT_LE(said.chunks, 3U);  // of the edit
  EXPECT_LT(said.bytes, 500U);
  EXPECT_EQ(end.progress.bytes_manifest, said.bytes);
  EXPECT_LT(edited.world.bulk_bytes(), 3U * store::kChunkBytesMax);
}

TEST(BaseParts, ForAnOlderPeerEachChunkIsNamed) {
  Edited edited(1);
  Segments said(edited.world);
  edited.push(false);
  expect_done(edited.world);
  expect_arrived(edited.world);
  EXPECT_EQ(said.parts, 0U);
  EXPECT_GT(said.chunks, 200U);
  EXPECT_GT(said.bytes, 36 * said.chunks);
}

// Neither known nor worth a wait: a small file; worth it: a large one, whichever the peer is.
TEST(BaseParts, WhatIsLargeWaitsUntilThePeerHasSaidWhatItKnows) {
  for (const bool knows : {true, false}) {
    Edited edited(2);
    Segments said(edited.world);
    edited.push(std::nullopt);
    EXPECT_FALSE(edited.world.run(End::kA, 20s).has_value());
    EXPECT_EQ(said.chunks + said.parts, 0U);
    edited.world.at(End::kA).learn_peer(knows ? session::kCapabilityBaseParts : 0);
    edited.world.link().pump();
    expect_done(edited.world);
    expect_arrived(edited.world);
    EXPECT_EQ(said.parts, knows ? 2U : 0U);
  }
  Edited edited(2, 2U << 20);
  Segments said(edited.world);
  edited.push(std::nullopt);
  expect_done(edited.world);
  EXPECT_EQ(said.parts, 0U);
}

TEST(BaseParts, ARandomEditArrivesAsItIs) {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    SCOPED_TRACE(seed);
    World world(seed, {}, World::At::kSite);
    put_random_tree(world.disk(End::kA), "src", world.rng(), 1'500'000);
    ByteVector content = random_bytes(world.rng(), 200'000 + world.rng().below(3'000'000));
    put_file(world.disk(End::kA), "src/large", content);
    world.push("data");
    transfer::SiteMemory memory;
    memory.base = expect_done(world).tree;
    for (std::uint64_t i = world.rng().below(4); i > 0; --i) {
      const auto from = world.rng().below(content.size());
      const auto size = world.rng().below(content.size() - from);
      const ByteVector part(content.begin() + static_cast<std::ptrdiff_t>(from),
                            content.begin() + static_cast<std::ptrdiff_t>(from + size));
      const auto to = static_cast<std::ptrdiff_t>(world.rng().below(content.size()));
      if (world.rng().chance(0.5))
        content.erase(content.begin(), content.begin() + to);
      else
        content.insert(content.begin() + to, part.begin(), part.end());
      if (content.empty()) content.push_back(std::byte{7});
    }
    put_file(world.disk(End::kA), "src/large", content, seed % 2 == 0 ? 0644 : 0600);
    Segments said(world);
    world.push("data", "src", seed % 3 == 0, memory);
    expect_done(world);
    expect_arrived(world);
    EXPECT_LE(said.most_pieces, wire::kSegmentPiecesMax);
  }
}

// 20,000 pieces: a part goes on in the next segment, and none stands for more than a segment may.
TEST(BaseParts, OfAHugeFileFillSegmentsAsChunksDo) {
  const wire::TransferId id(1);
  std::vector<store::Piece> pieces;
  std::uint64_t size = 0;
  for (int i = 0; i < 20'000; ++i) {
    const bool hole = i % 5 == 4;
    pieces.push_back({100, hole, hole ? crypto::Digest() : crypto::sha256(std::to_string(i))});
    size += 100;
  }
  store::Entry file;
  file.name = TreeName::known("f");
  file.mode = 0644;
  file.size = size;
  store::TreeBuilder builder;
  ASSERT_TRUE(builder.add(file, pieces));
  const auto base = builder.finish();
  ASSERT_TRUE(base);
  transfer::ManifestWriter writer(id, 1);
  transfer::ManifestReader reader(*base);
  file.mtime = WallTime{5};
  writer.begin(file);
  std::uint64_t chunks = 0;
  const auto pass = [&] {
    const auto added = reader.add(writer.take());
    ASSERT_TRUE(added) << added.error().message();
    chunks += added->chunks.size();
  };
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    if (writer.full()) pass();
    writer.base_piece(pieces[i], i);
  }
  pass();
  EXPECT_EQ(writer.segments(), 3U);
  EXPECT_EQ(chunks, 16'000U);
  EXPECT_EQ(writer.chunks(), chunks);
  wire::Seal seal;
  seal.segments = writer.segments();
  seal.chunks = chunks;
  seal.entries = 1;
  seal.bytes = size;
  store::TreeBuilder after;
  ASSERT_TRUE(after.add(file, pieces));
  seal.root = after.finish()->root();
  EXPECT_TRUE(reader.seal(seal));
}

// A base of one file of three pieces and a folder, and a segment that speaks of it.
struct Spoken {
  Spoken() {
    store::TreeBuilder builder;
    store::Entry entry;
    entry.name = TreeName::known("d");
    entry.type = store::EntryType::kFolder;
    entry.mode = 0755;
    EXPECT_TRUE(builder.add(entry));
    entry.name = TreeName::known("f");
    entry.type = store::EntryType::kFile;
    entry.size = 300;
    EXPECT_TRUE(builder.add(entry, std::vector<store::Piece>(3, {100, false, {}})));
    base = *builder.finish();
    file.name = "f";
    file.size = 300;
  }
  Result<transfer::ManifestReader::Added> read(std::vector<wire::Piece> pieces,
                                               bool with_base = true) {
    wire::Segment segment;
    file.pieces.assign(pieces.begin(), pieces.end());
    segment.records = {file};
    transfer::ManifestReader reader(with_base ? std::optional(base) : std::nullopt);
    return reader.add(segment);
  }
  std::string refused(std::vector<wire::Piece> pieces, bool with_base = true) {
    const auto added = read(std::move(pieces), with_base);
    if (added) return "taken";
    EXPECT_EQ(added.error().kind(), Kind::kMalformed);
    return added.error().why();
  }
  store::Tree base;
  wire::Record file;
};

TEST(BaseParts, ThatCannotBeAreRefused) {
  constexpr std::uint64_t kHuge = ~std::uint64_t{0};
  constexpr std::uint32_t kMany = ~std::uint32_t{0};
  ASSERT_TRUE(Spoken().read({wire::BasePart{0, 3}}));
  ASSERT_TRUE(Spoken().read({wire::BasePart{2, 1}, wire::BasePart{0, 2}}));
  const std::string no_part = "the base's f has no such part";
  EXPECT_EQ(Spoken().refused({wire::BasePart{0, 0}}), no_part);
  EXPECT_EQ(Spoken().refused({wire::BasePart{0, 4}}), no_part);
  EXPECT_EQ(Spoken().refused({wire::BasePart{3, 1}}), no_part);
  EXPECT_EQ(Spoken().refused({wire::BasePart{4, 0}}), no_part);
  EXPECT_EQ(Spoken().refused({wire::BasePart{kHuge, 1}}), no_part);
  EXPECT_EQ(Spoken().refused({wire::BasePart{kHuge, kMany}}), no_part);
  EXPECT_EQ(Spoken().refused({wire::BasePart{1, kMany}}), no_part);
  EXPECT_EQ(Spoken().refused({wire::BasePart{0, 3}, wire::BasePart{0, 1}}),
            "the pieces of f do not fit it");
  EXPECT_EQ(Spoken().refused({wire::BasePart{0, 1}}, false),
            "it speaks of a base that was not agreed");
  Spoken other;
  other.file.name = "g";
  EXPECT_EQ(other.refused({wire::BasePart{0, 1}}), "the base has no file g");
  other.file.name = "d";
  EXPECT_EQ(other.refused({wire::BasePart{0, 1}}), "the base has no file d");
}

// A message of some bytes must not become millions of chunks.
TEST(BaseParts, OfASegmentStandForNoMoreThanASegmentMayName) {
  std::vector<store::Piece> pieces(5000, {1, false, {}});
  store::Entry entry;
  entry.name = TreeName::known("f");
  entry.size = pieces.size();
  store::TreeBuilder builder;
  ASSERT_TRUE(builder.add(entry, pieces));
  Spoken spoken;
  spoken.base = *builder.finish();
  spoken.file.size = 3 * pieces.size();
  EXPECT_EQ(spoken.refused({wire::BasePart{0, 5000}, wire::BasePart{0, 5000}}),
            "a segment names too many chunks");
}

// Segment after segment of parts costs what as many chunks cost, and ends at the same bound.
TEST(BaseParts, WithoutEndAreRefusedAtTheBoundOfMemory) {
  std::vector<store::Piece> pieces(wire::kSegmentPiecesMax, {1, false, {}});
  store::Entry entry;
  entry.name = TreeName::known("f");
  entry.size = pieces.size();
  store::TreeBuilder builder;
  ASSERT_TRUE(builder.add(entry, pieces));
  transfer::ManifestReader reader(*builder.finish());
  wire::Segment segment;
  wire::Record file;
  file.name = "f";
  file.size = store::kFileBytesMax;
  file.pieces = {wire::BasePart{0, wire::kSegmentPiecesMax}};
  segment.records = {file};
  std::uint64_t taken = 0;
  for (;; ++segment.number, segment.first_chunk += pieces.size()) {
    const auto added = reader.add(segment);
    if (!added) {
      EXPECT_EQ(added.error().kind(), Kind::kLimit) << added.error().message();
      break;
    }
    ASSERT_LT(taken += added->chunks.size(), transfer::kManifestMemoryMax / sizeof(store::Piece));
    segment.records[0].type = wire::RecordType::kMore;
    segment.records[0].name = "";
  }
  EXPECT_GT(taken, 1'000'000U);
}

}  // namespace
}  // namespace longhaul::test
