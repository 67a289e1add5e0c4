// A paired peer that says anything about transfers: a grammar of messages driven by the input, into
// a site that receives (first byte even; from 4 on in eight, it has a version that an offer may
// name as its base) or a laptop that pushes (odd), over the session double. One input byte picks a
// message, the next ones its fields. No input may break an invariant, make either end hold more
// than its bounds, or publish a version that does not verify.
#include <cstddef>
#include <cstdint>

#include "lib/store/audit.hpp"
#include "lib/transfer/limits.hpp"
#include "tests/transfer/world.hpp"

namespace {

using namespace longhaul;
using namespace longhaul::test;
using session::Lane;

constexpr std::size_t kInputMax = 2048;

constexpr std::string_view kContent = "some content of a file";

class Liar {
 public:
  Liar(Bytes input, World& world, End from, std::optional<crypto::Digest> base)
      : in_(input), world_(world), from_(from), base_(base) {}
  bool done() const { return in_.empty(); }

  void say_one() {
    switch (byte() % 14) {
      case 0:
        return say(Lane::kControl, offer());
      case 1:
        if (byte() % 4 == 0)
          return say(Lane::kControl, wire::FetchCheckpoint{id(), dataset(), number(),
                                                           byte() % 2 == 0, byte() % 2 == 0});
        return say(Lane::kControl, wire::Fetch{id(), dataset(), number(), {}, byte() % 2 == 0});
      case 2:
        return say(Lane::kControl, wire::Admit{id(), attempt(), byte() % 2 == 0});
      case 3:
      case 4:
        return say(Lane::kDemand, segment());
      case 5:
        return say(Lane::kDemand, want());
      case 6:
      case 7:
        return say(Lane::kBulk, block());
      case 8:
        return say(Lane::kControl, seal());
      case 9:
        return say(Lane::kLive, wire::Receipt{id(), number(), number()});
      case 10:
        return say(Lane::kControl,
                   wire::Committed{id(), number(), root(), byte() % 2 == 0, number()});
      case 11:
        return say(Lane::kControl, wire::Stop{id(), static_cast<Kind>(byte() % 17), "\x1b[2J"});
      case 12:
        return say(Lane::kControl,
                   wire::Ask{wire::RequestId(byte() % 4),
                             static_cast<wire::AskType>(1 + byte() % 7), dataset(), number()});
      default:
        return world_.link().inject(from_, Lane::kDemand, raw());
    }
  }

 private:
  std::uint8_t byte() {
    if (in_.empty()) return 0;
    const auto out = std::to_integer<std::uint8_t>(in_[0]);
    in_ = in_.subspan(1);
    return out;
  }
  std::uint64_t number() {  // small ones and the ends of the range matter more than others
    const std::uint8_t kind = byte();
    const std::uint64_t value = byte();
    return kind % 4 == 0 ? ~value : kind % 4 == 1 ? value << 24 : value % 5;
  }
  wire::TransferId id() { return wire::TransferId(byte() % 4); }
  std::uint32_t attempt() { return byte() % 8 == 0 ? byte() : 1; }
  wire::Text<wire::kDatasetNameMax> dataset() {
    static constexpr const char* kNames[] = {"data", "..", "", "d\n", "other"};
    return wire::Text<wire::kDatasetNameMax>(kNames[byte() % 5]);
  }
  crypto::Digest root() { return byte() % 2 == 0 ? crypto::sha256(kContent) : crypto::sha256("x"); }
  wire::Offer offer() {
    wire::Offer offer;
    offer.transfer = id();
    offer.attempt = attempt();
    offer.dataset = dataset();
    offer.ahead = byte() % 2 == 0;
    if (byte() % 4 == 0) offer.root = root();
    if (byte() % 4 == 0) offer.base = base_ ? *base_ : root();
    offer.files = number();
    offer.bytes = number();
    return offer;
  }
  wire::Record record() {
    static constexpr const char* kNames[] = {"f", "g", "..", "a/b", "", "f/x"};
    wire::Record record;
    record.type = static_cast<wire::RecordType>(1 + byte() % 6);
    record.up = byte() % 8 == 0 ? byte() : 0;
    record.name = wire::Text<wire::kNameMax>(kNames[byte() % 6]);
    record.mode = byte() % 8 == 0 ? 04755 : 0644;
    if (byte() % 2 == 0) record.target = "../f";
    record.size = byte() % 4 == 0 ? number() : kContent.size();
    for (unsigned n = byte() % 3; n > 0; --n) {
      const std::uint8_t kind = byte();
      if (kind % 3 == 0) {
        record.pieces.push_back(wire::Hole{number()});
      } else if (kind >= 0xe0) {
        record.pieces.push_back(wire::BasePart{number(), static_cast<std::uint32_t>(number())});
      } else {
        const auto length = byte() % 4 == 0 ? number() : kContent.size();
        record.pieces.push_back(wire::Chunk{static_cast<std::uint32_t>(length), root()});
      }
    }
    return record;
  }
  wire::Segment segment() {
    wire::Segment segment;
    segment.transfer = id();
    segment.attempt = attempt();
    segment.number = byte() % 8 == 0 ? byte() : next_segment_++;
    segment.first_chunk = byte() % 4 == 0 ? number() : 0;
    for (unsigned n = byte() % 4; n > 0; --n) segment.records.push_back(record());
    return segment;
  }
  wire::Want want() {
    wire::Want want;
    want.transfer = id();
    want.attempt = attempt();
    want.again = byte() % 2 == 0;
    want.first_chunk = number();
    want.missing = wire::Bitmap<wire::kSegmentPiecesMax>(byte() * 8U);
    for (std::size_t i = 0; i < want.missing.size(); i += 1U + byte() % 7U) want.missing.set(i);
    return want;
  }
  wire::Block block() {
    wire::Block block;
    block.transfer = id();
    block.attempt = attempt();
    block.codec = byte() % 4 == 0 ? byte() : 0;
    block.raw_bytes = static_cast<std::uint32_t>(byte() % 4 == 0 ? number() : kContent.size());
    for (unsigned n = byte() % 3; n > 0; --n)
      block.runs.push_back({number(), static_cast<std::uint32_t>(byte() % 4)});
    block.payload = byte() % 4 == 0 ? Slice::copy_of("other bytes") : Slice::copy_of(kContent);
    return block;
  }
  wire::Seal seal() {
    wire::Seal seal;
    seal.transfer = id();
    seal.attempt = attempt();
    seal.segments = byte() % 4;
    seal.chunks = number();
    seal.entries = number();
    seal.bytes = number();
    seal.root = root();
    return seal;
  }
  Slice raw() {
    ByteVector bytes(byte() % 64 + 1U);
    for (std::byte& one : bytes) one = static_cast<std::byte>(byte());
    return Slice::copy_of(bytes);
  }
  void say(Lane lane, const wire::TransferMessage& message) {
    Slice body = Slice::copy_of(wire::encode(message));
    if (lane == Lane::kControl && body.size() > session::kControlMessageMax) return;
    world_.link().inject(from_, lane, std::move(body));
  }

  Bytes in_;
  World& world_;
  const End from_;
  const std::optional<crypto::Digest> base_;
  std::uint32_t next_segment_ = 0;
};

// The root of a version that the site holds.
crypto::Digest push_honestly(World& world) {
  put_file(world.disk(End::kA), "src/f", bytes_of(kContent));
  world.push("data", "src", true);
  const auto finished = world.run(End::kA);
  ASSERT(finished && !finished->error);
  return finished->committed.root;
}

// What stands as a version is whole.
void expect_verified(sim::CrashFiles& disk) {
  const auto root = store::Root::open(disk);
  ASSERT(root.has_value());
  const auto datasets = (*root)->datasets();
  ASSERT(datasets.has_value());
  for (const auto& dataset : *datasets) {
    const auto versions = (*root)->versions(dataset);
    ASSERT(versions.has_value());
    for (const store::VersionNo version : *versions) {
      const auto tree = (*root)->tree(dataset, version);
      ASSERT(tree.has_value());
      store::Audit audit(disk, *tree, store::Root::folder_of(dataset, version));
      while (audit.step(1U << 30) == store::Audit::Progress::kMore) {
      }
      ASSERT(audit.damaged() == 0);
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2 || size > kInputMax) return 0;
  const Bytes input = std::as_bytes(std::span(data, size));
  const bool site = data[0] % 2 == 0;
  const End victim = site ? End::kB : End::kA;
  World world(1, {}, World::At::kSite);
  if (!site) {
    put_file(world.disk(End::kA), "src/f", bytes_of("what the laptop pushes"));
    world.push("data", "src", data[0] % 4 == 1);
  }
  std::optional<crypto::Digest> base;
  if (site && data[0] % 8 >= 4) base = push_honestly(world);
  Liar liar(input.subspan(1), world, site ? End::kA : End::kB, base);
  while (!liar.done()) {
    liar.say_one();
    for (int i = 0; i < 40 && world.link().step(); ++i) {
      world.at(End::kA).check();
      world.at(End::kB).check();
    }
    ASSERT(world.at(victim).held() <= transfer::kEarlyHeldMax + (8U << 20));
  }
  world.link().run_until([] { return false; }, 60s);
  world.at(End::kA).check();
  world.at(End::kB).check();
  world.kill(End::kA);
  world.kill(End::kB);
  expect_verified(world.disk(End::kB));
  return 0;
}
