// A peer that lies, in both roles: every lie ends in a typed error or in nothing, never in an
// abort, a version that does not verify, or a name outside.
#include <gtest/gtest.h>

#include "tests/transfer/world.hpp"

namespace longhaul::test {
namespace {

using session::Lane;
using wire::TransferMessage;

Slice packed(const TransferMessage& message) {
  return Slice::copy_of(wire::encode(message));
}

wire::Record file_record(std::string name, Bytes content) {
  wire::Record record;
  record.name = std::move(name);
  record.mode = 0644;
  record.size = content.size();
  record.pieces.push_back(
      wire::Chunk{static_cast<std::uint32_t>(content.size()), crypto::sha256(content)});
  return record;
}

// What a sender made by hand says to a site; the honest exchange at A only listens.
struct Liar {
  explicit Liar(std::uint64_t seed = 1) : world(seed, {}, World::At::kSite) {
    offer.transfer = TransferId(1);
    offer.dataset = "data";
    segment.transfer = block.transfer = seal.transfer = TransferId(1);
    content = bytes_of("some content");
  }
  void say(Lane lane, const TransferMessage& message) {
    world.link().inject(End::kA, lane, packed(message));
  }
  void make_offer() {
    if (!std::exchange(offered, true)) say(Lane::kControl, offer);
  }
  // How the transfer ends at the site.
  std::optional<Kind> end() {
    auto finished = world.run(End::kB, 30s);
    EXPECT_TRUE(
        world.disk(End::kB).stat(store::TreeName::known("datasets/data/v000001")).has_value() ==
        (finished && !finished->error));
    if (!finished || !finished->error) return std::nullopt;
    said = finished->error->message();
    return finished->error->kind();
  }
  std::optional<Kind> end_of(wire::Record record) {
    make_offer();
    segment.records.push_back(std::move(record));
    say(Lane::kDemand, segment);
    return end();
  }
  bool offered = false;
  World world;
  std::string said;  // the site's error
  Bytes content;
  wire::Offer offer;
  wire::Segment segment;
  wire::Block block;
  wire::Seal seal;
};

TEST(Hostile, NamesThatLeaveTheTreeAreRefused) {
  for (const char* name : {"..", ".", "", "a/b", "/etc", "../../x"}) {
    SCOPED_TRACE(name);
    Liar liar;
    EXPECT_EQ(liar.end_of(file_record(name, liar.content)), Kind::kMalformed);
  }
  Liar liar;
  EXPECT_EQ(liar.end_of(file_record(std::string("nul\0x", 5), liar.content)), Kind::kMalformed);
}

TEST(Hostile, RecordsThatCannotBeAreRefused) {
  const auto refused = [](auto change) {
    Liar liar;
    wire::Record record = file_record("f", liar.content);
    change(record);
    liar.make_offer();
    liar.seal.segments = 1;  // a mode is judged with the whole file
    liar.say(Lane::kControl, liar.seal);
    const auto kind = liar.end_of(std::move(record));
    EXPECT_TRUE(kind == Kind::kMalformed || kind == Kind::kLimit)
        << (kind ? name_of(*kind) : "accepted");
  };
  refused([](wire::Record& r) { r.mode = 04755; });
  refused([](wire::Record& r) { r.up = 1; });
  refused([](wire::Record& r) { r.size = std::uint64_t{1} << 60; });
  refused([](wire::Record& r) { r.size = 1; });
  refused([](wire::Record& r) { r.pieces.push_back(wire::Hole{std::uint64_t{1} << 63}); });
  refused([](wire::Record& r) { r.pieces[0] = wire::Chunk{0, {}}; });
  refused([](wire::Record& r) { r.type = wire::RecordType::kMore; });
  refused([](wire::Record& r) { r.type = wire::RecordType::kSame; });
  refused([](wire::Record& r) { r.type = wire::RecordType::kFolder; });
  refused([](wire::Record& r) {
    r = wire::Record();
    r.name = "l";
    r.type = wire::RecordType::kSymlink;
    r.target = "../../etc/passwd";
  });
  refused([](wire::Record& r) {
    r = wire::Record();
    r.name = "h";
    r.type = wire::RecordType::kHardLink;
    r.target = "nothing";
  });
}

TEST(Hostile, BlocksThatDoNotFitTheirNamesAreRefused) {
  const auto ends_as = [](Kind kind, auto change) {
    Liar liar;
    liar.block.raw_bytes = static_cast<std::uint32_t>(liar.content.size());
    liar.block.runs.push_back({0, 1});
    liar.block.payload = wire::Payload<wire::kBlockPayloadMax>(Slice::copy_of(liar.content));
    change(liar.block);
    liar.make_offer();
    liar.say(Lane::kBulk, liar.block);
    EXPECT_EQ(liar.end_of(file_record("f", liar.content)), kind) << liar.said;
  };
  ends_as(Kind::kMalformed, [](wire::Block& b) { b.raw_bytes += 1; });
  ends_as(Kind::kMalformed, [](wire::Block& b) { b.runs[0].count = 0; });
  ends_as(Kind::kMalformed, [](wire::Block& b) { b.runs[0].count = 0xffffffff; });
  ends_as(Kind::kUnsupported, [](wire::Block& b) { b.codec = 200; });
  ends_as(Kind::kMalformed, [](wire::Block& b) { b.codec = 1; });
  ends_as(Kind::kIntegrity, [](wire::Block& b) {
    b.payload = wire::Payload<wire::kBlockPayloadMax>(Slice::copy_of(bytes_of("other conten")));
  });
}

TEST(Hostile, ASealThatDoesNotMatchPublishesNothing) {
  Liar liar;
  liar.make_offer();
  liar.block.raw_bytes = static_cast<std::uint32_t>(liar.content.size());
  liar.block.runs.push_back({0, 1});
  liar.block.payload = wire::Payload<wire::kBlockPayloadMax>(Slice::copy_of(liar.content));
  liar.say(Lane::kBulk, liar.block);
  liar.seal.segments = 1;
  liar.seal.chunks = liar.seal.entries = 1;
  liar.seal.bytes = liar.content.size();
  liar.say(Lane::kControl, liar.seal);  // its root is that of nothing
  EXPECT_EQ(liar.end_of(file_record("f", liar.content)), Kind::kIntegrity) << liar.said;
}

TEST(Hostile, WhatComesFarTooEarlyIsBounded) {
  Liar liar;
  liar.block.raw_bytes = 1U << 20;
  liar.block.runs.push_back({0, 1});
  liar.block.payload = wire::Payload<wire::kBlockPayloadMax>(Slice::copy_of(ByteVector(1U << 20)));
  for (int i = 0; i < 80; ++i) liar.say(Lane::kBulk, liar.block);
  EXPECT_EQ(liar.end(), Kind::kLimit);
  EXPECT_EQ(liar.world.at(End::kB).held(), 0U);
}

TEST(Hostile, BytesThatAreNoMessageEndTheSession) {
  Liar liar;
  liar.world.link().inject(End::kA, Lane::kControl, Slice::copy_of("\xff no message"));
  bool told = false;
  liar.world.link().run_until(
      [&] {
        while (auto event = liar.world.at(End::kB).poll_event())
          told = told || std::holds_alternative<transfer::PeerBroken>(*event);
        return told;
      },
      5s);
  EXPECT_TRUE(told);
}

// Answers with as many pages as it is asked for, and counts them.
class Talker final : public transfer::Host {
 public:
  Result<std::shared_ptr<transfer::Sink>> receive(const wire::Offer&) override { return no(); }
  Result<std::unique_ptr<transfer::FetchWork>> send(const wire::Fetch&) override { return no(); }
  Result<std::unique_ptr<transfer::AskWork>> answer(const wire::Ask& ask) override {
    if (ask.version == 0) return no();
    class Pages final : public transfer::AskWork {
     public:
      Pages(std::size_t& made, std::uint64_t pages) : made_(made), left_(pages) {}
      void run() override {
        ++made_;
        wire::Line line;
        line.name = std::string(1000, 'x');
        lines.assign(100, line);
        if (--left_ == 0) last = wire::Outcome();
      }
      std::size_t& made_;
      std::uint64_t left_;
    };
    return std::make_unique<Pages>(pages_made, ask.version);
  }
  static tl::unexpected<Error> no() { return fail(Kind::kPermission, "answer", "nobody may"); }
  std::size_t pages_made = 0;
};

// An exchange whose peer takes what the room allows; jobs run at once.
std::vector<wire::Answer> drain(transfer::Exchange& exchange, std::size_t room_bytes) {
  std::vector<wire::Answer> answers;
  session::Room room;
  for (std::size_t& lane : room.bytes) lane = room_bytes;
  while (auto output = exchange.poll_output(Time(), room)) {
    if (auto* job = std::get_if<Job>(&*output)) {
      job->work->run();
      exchange.on_job(Time(), std::move(*job));
    } else {
      auto message = wire::decode<TransferMessage>(std::get<session::Message>(*output).body);
      if (auto* answer = std::get_if<wire::Answer>(&*message)) answers.push_back(*answer);
    }
  }
  return answers;
}

Slice ask_for(std::uint64_t request, std::uint64_t pages) {
  wire::Ask ask;
  ask.request = wire::RequestId(request);
  ask.type = wire::AskType::kFiles;
  ask.version = pages;
  return packed(ask);
}

std::optional<Kind> broken_by(transfer::Exchange& exchange) {
  while (auto event = exchange.poll_event())
    if (auto* broken = std::get_if<transfer::PeerBroken>(&*event)) return broken->why.kind();
  return std::nullopt;
}

TEST(Hostile, APeerThatReadsNoAnswerHasFewPagesMadeForIt) {
  Talker host;
  transfer::Exchange exchange(transfer::Side::kListener, &host, {});
  for (std::uint64_t request = 1; request <= 16; ++request)
    exchange.on_message(Time(), Lane::kControl, ask_for(request, 50));
  EXPECT_TRUE(drain(exchange, 0).empty());
  EXPECT_LE(host.pages_made, 16U);  // of 100 kB; 800 were asked for
  EXPECT_EQ(broken_by(exchange), std::nullopt);

  const auto answers = drain(exchange, 1U << 20);  // and all of them once it reads
  EXPECT_EQ(host.pages_made, 800U);
  std::map<wire::RequestId, std::uint32_t> next;
  for (const wire::Answer& answer : answers) EXPECT_EQ(answer.number, next[answer.request]++);
  EXPECT_EQ(next.size(), 16U);
}

TEST(Hostile, APeerThatIsRefusedOnAndOnAndReadsNothingIsBroken) {
  Talker host;
  transfer::Exchange exchange(transfer::Side::kListener, &host, {});
  std::uint64_t asked = 0;
  std::optional<Kind> broken;
  while (!broken && asked < 10'000) {
    exchange.on_message(Time(), Lane::kControl, ask_for(++asked, 0));
    EXPECT_TRUE(drain(exchange, 0).empty());
    broken = broken_by(exchange);
  }
  EXPECT_EQ(broken, Kind::kLimit);

  transfer::Exchange read(transfer::Side::kListener, &host, {});  // one that reads goes on
  for (std::uint64_t request = 1; request <= asked; ++request) {
    read.on_message(Time(), Lane::kControl, ask_for(request, 0));
    EXPECT_EQ(drain(read, 1U << 20).size(), 1U);
  }
  EXPECT_EQ(broken_by(read), std::nullopt);
}

TEST(Hostile, PagesOfAnAnswerThatDoNotFollowAreBounded) {
  transfer::Exchange exchange(transfer::Side::kDialer, nullptr, {});
  wire::Answer answer;
  answer.request = exchange.ask(Time(), wire::AskType::kFiles, "data", 1);
  wire::Line line;
  line.name = std::string(1000, 'x');
  answer.lines.assign(1000, line);
  std::optional<Kind> broken;
  while (!broken && answer.number < 1000) {
    ++answer.number;  // the first never comes
    exchange.on_message(Time(), Lane::kDemand, packed(answer));
    broken = broken_by(exchange);
  }
  EXPECT_EQ(broken, Kind::kLimit);
  EXPECT_LE(answer.number, 70U);
}

// Real traffic of both ends, some of it changed on the way.
TEST(Hostile, BentTrafficEndsEveryTransferAndPublishesOnlyWhatVerifies) {
  int failed = 0;
  for (std::uint64_t seed = 1; seed <= 150; ++seed) {
    SCOPED_TRACE(seed);
    World world(seed, {}, World::At::kSite);
    put_random_tree(world.disk(End::kA), "src", world.rng(), 200'000);
    Rng evil(seed, "evil");
    std::vector<Slice> seen;
    world.link().tap([&](End, Lane lane, Slice body) -> std::optional<Slice> {
      seen.push_back(body);
      if (!evil.chance(0.08)) return body;
      if (evil.chance(0.3)) {
        Slice old = seen[evil.below(seen.size())];
        if (lane != Lane::kControl || old.size() <= session::kControlMessageMax) return old;
      }
      ByteVector bent(body.bytes().begin(), body.bytes().end());
      if (evil.chance(0.2)) bent.resize(evil.below(bent.size() + 1));
      if (!bent.empty())
        bent[evil.below(std::min<std::size_t>(bent.size(), 80))] ^= std::byte(1U << evil.below(8));
      return Slice::copy_of(bent);
    });
    world.push("data", "src", seed % 2 == 0);
    const auto end = world.run(End::kA, 400s);
    ASSERT_TRUE(end.has_value());  // at the latest when the peer stays silent
    failed += end->error.has_value() ? 1 : 0;
    auto root = store::Root::open(world.disk(End::kB));
    EXPECT_FALSE(root.has_value());  // the site has it
    const auto version = store::TreeName::known("datasets/data/v000001");
    if (!world.disk(End::kB).stat(version)) continue;
    // What was published is what some manifest said, whole; with a bent manifest the root differs
    // from ours.
    if (!end->error) {
      EXPECT_EQ(snapshot(world.disk(End::kB), version).size(),
                snapshot(world.disk(End::kA), store::TreeName::known("src")).size());
    }
  }
  EXPECT_GT(failed, 10);
}

}  // namespace
}  // namespace longhaul::test
