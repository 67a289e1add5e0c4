// What the site's end of a probe must not be made to do.
#include "lib/probe/site.hpp"

#include <gmock/gmock.h>

#include "lib/probe/filler.hpp"

namespace longhaul::test {
namespace {

using probe::Packet;
using probe::PacketType;

constexpr std::uint64_t kBudget = 1'000'000;

datagram::Address some_address(std::uint16_t port) {
  datagram::Address out;
  out.ip[10] = out.ip[11] = std::byte{0xff};
  out.ip[15] = std::byte{7};
  out.port = port;
  return out;
}

struct SiteTest : testing::Test {
  SiteTest() {
    options.gate = &gate;
    options.buffers = &pool;
  }
  void open(probe::ProbeSite& site, std::uint64_t budget = kBudget) {
    wire::ProbeOpen message;
    message.probe = wire::ProbeId(1);
    message.seed = seed;
    message.budget_bytes = budget;
    tell(site, message);
  }
  void tell(probe::ProbeSite& site, const wire::ProbeMessage& message) {
    site.on_message(now, session::Lane::kControl, Slice::copy_of(wire::encode(message)));
    site.check();
  }
  std::optional<wire::ProbeMessage> heard(probe::ProbeSite& site) {
    session::Room room;
    std::fill(std::begin(room.bytes), std::end(room.bytes), std::size_t{1} << 20);
    auto output = site.poll_output(now, room);
    if (!output) return std::nullopt;
    auto message = wire::decode<wire::ProbeMessage>(std::get<session::Message>(*output).body);
    EXPECT_TRUE(message);
    return *message;
  }
  void echo(probe::ProbeSite& site, const datagram::Address& from, std::uint32_t bytes = 80) {
    Packet packet;
    packet.number = number++;
    const Slice sealed = laptop.seal(now, std::span(&packet, 1), bytes);
    site.on_datagrams(now, from, sealed, 0, {});
    site.check();
  }
  void later(probe::ProbeSite& site, std::uint32_t after_ms) {
    Packet packet;
    packet.type = PacketType::kLater;
    packet.number = number++;
    packet.after_ms = after_ms;
    site.on_datagrams(now, some_address(5), laptop.seal(now, std::span(&packet, 1), 80), 0, {});
    site.check();
  }
  wire::ProbeToken token_to(probe::ProbeSite& site) {
    const auto batch = site.poll_batch(now);
    EXPECT_TRUE(batch);
    const auto packet = laptop.open(now, batch->bytes.bytes());
    EXPECT_TRUE(packet);
    return packet->token;
  }
  wire::ProbeTrain down(std::uint32_t packets) {
    wire::ProbeTrain order;
    order.probe = wire::ProbeId(1);
    order.train = wire::TrainId(++trains);
    order.down = true;
    order.packets = packets;
    order.packet_bytes = 1000;
    return order;
  }
  std::uint64_t drain(probe::ProbeSite& site) {
    std::uint64_t bytes = 0;
    while (auto batch = site.poll_batch(now)) bytes += batch->bytes.size();
    return bytes;
  }

  probe::Gate gate;
  BufferPool pool;
  Time now{std::chrono::seconds(1)};
  crypto::Digest seed = crypto::sha256("seed");
  probe::ProbeSiteOptions options;
  probe::Sealing laptop{seed, true, pool};
  std::uint32_t number = 0, trains = 0;
};

TEST_F(SiteTest, AnswersAnEchoInItsOwnSize) {
  probe::ProbeSite site(options);
  open(site);
  echo(site, some_address(5), 1200);
  const auto batch = site.poll_batch(now);
  ASSERT_TRUE(batch);
  EXPECT_EQ(batch->bytes.size(), 1200U);
  EXPECT_FALSE(site.poll_batch(now));
}

TEST_F(SiteTest, IsSilentToWhatDoesNotAuthenticateAndToWhatCameBefore) {
  probe::ProbeSite site(options);
  open(site);
  Packet packet;
  const Slice sealed = laptop.seal(now, std::span(&packet, 1), 80);
  ByteVector bent(sealed.bytes().begin(), sealed.bytes().end());
  for (std::size_t at = 0; at < bent.size(); ++at) {
    bent[at] ^= std::byte{1};
    site.on_datagrams(now, some_address(5), Slice::copy_of(bent), 0, {});
    bent[at] ^= std::byte{1};
  }
  site.on_datagrams(now, some_address(5), Slice::copy_of("no packet"), 0, {});
  EXPECT_FALSE(site.poll_batch(now));
  site.on_datagrams(now, some_address(5), sealed, 0, {});
  EXPECT_TRUE(site.poll_batch(now));
  site.on_datagrams(now, some_address(5), sealed, 0, {});
  EXPECT_FALSE(site.poll_batch(now));
}

TEST_F(SiteTest, U4SendsATrainOnlyToAnAddressThatHasHeardIt) {
  probe::ProbeSite site(options);
  open(site);
  echo(site, some_address(5));
  wire::ProbeTrain order = down(100);
  order.token = token_to(site);
  echo(site, some_address(6));  // as somebody else would be made to look
  drain(site);
  tell(site, order);
  EXPECT_EQ(drain(site), 0U);
  echo(site, some_address(5));
  drain(site);
  wire::ProbeTrain again = down(100);
  again.token = order.token;
  tell(site, again);
  EXPECT_EQ(drain(site), 100'000U);
}

TEST_F(SiteTest, SendsNoMoreThanTheBudget) {
  probe::ProbeSite site(options);
  open(site);
  echo(site, some_address(5));
  wire::ProbeTrain order = down(65'536);
  order.token = token_to(site);
  tell(site, order);
  EXPECT_LE(drain(site), kBudget);
  EXPECT_GT(site.spent_bytes(), kBudget * 9 / 10);
  echo(site, some_address(5));
  echo(site, some_address(5));
  drain(site);
  EXPECT_LE(site.spent_bytes(), kBudget);
}

TEST_F(SiteTest, OneProbeAtATimeAndObserversSeldomAndLittle) {
  options.observer = true;
  probe::ProbeSite one(options), other(options);
  open(one, std::uint64_t{1} << 40);
  const auto opened = std::get<wire::ProbeOpened>(*heard(one));
  EXPECT_EQ(opened.budget_bytes, probe::Gate::kObserverBytesMax);
  open(other);
  EXPECT_EQ(std::get<wire::ProbeOpened>(*heard(other)).failed, Kind::kBusy);
  tell(one, wire::ProbeStop{wire::ProbeId(1)});
  EXPECT_FALSE(gate.taken());
  now += probe::Gate::kObserverPause - 1ms;
  open(other);
  EXPECT_EQ(std::get<wire::ProbeOpened>(*heard(other)).failed, Kind::kBusy);
  now += 1ms;
  open(other);
  EXPECT_FALSE(std::get<wire::ProbeOpened>(*heard(other)).failed);
}

TEST_F(SiteTest, AProbeThatIsLeftOpenEndsByItself) {
  probe::ProbeSite site(options);
  open(site);
  EXPECT_TRUE(gate.taken());
  now = *site.next_deadline();
  site.on_deadline(now);
  EXPECT_FALSE(gate.taken());
  EXPECT_FALSE(site.receive_id());
}

TEST_F(SiteTest, ARoleThatMayNotIsTold) {
  options.may_probe = false;
  probe::ProbeSite site(options);
  open(site);
  EXPECT_EQ(std::get<wire::ProbeOpened>(*heard(site)).failed, Kind::kAuth);
  EXPECT_FALSE(gate.taken());
}

TEST_F(SiteTest, ATrainThatCannotBeBreaksTheProtocol) {
  for (const std::uint32_t packets : {0U, 65'537U}) {
    probe::ProbeSite site(options);
    open(site);
    tell(site, down(packets));
    EXPECT_TRUE(site.take_broken());
  }
  probe::ProbeSite site(options);
  open(site);
  wire::ProbeTrain slow = down(60'000);
  slow.rate = 1000;  // a day
  tell(site, slow);
  EXPECT_TRUE(site.take_broken());
  site.on_message(now, session::Lane::kControl, Slice::copy_of("\xff"));
  EXPECT_TRUE(site.take_broken());
}

TEST_F(SiteTest, ReportsPacketsThatOvertookTheWordOfTheirTrain) {
  probe::ProbeSite site(options);
  open(site);
  std::vector<Packet> packets(4);
  for (std::uint32_t i = 0; i < 4; ++i) {
    packets[i].type = PacketType::kTrain;
    packets[i].train = 1;
    packets[i].number = i;
  }
  const Slice sealed = laptop.seal(now, packets, 1000);
  site.on_datagrams(now, some_address(5), sealed.first(3000), 1000, {});
  static_cast<void>(heard(site));
  wire::ProbeTrain order = down(4);
  order.down = false;
  tell(site, order);
  now = *site.next_deadline();
  site.on_deadline(now);
  const auto report = std::get<wire::ProbeArrivals>(*heard(site));
  EXPECT_THAT(report.packets, testing::ElementsAre(1, 1, 1, 0));
}

TEST_F(SiteTest, AnswersLaterOnceAndAlsoAfterTheProbeWasStopped) {
  probe::ProbeSite site(options);
  open(site);
  later(site, 10'000);
  later(site, 20'000);
  EXPECT_FALSE(site.poll_batch(now));
  tell(site, wire::ProbeStop{wire::ProbeId(1)});
  EXPECT_FALSE(gate.taken());
  echo(site, some_address(5));  // all but what was asked for is over
  EXPECT_FALSE(site.poll_batch(now));
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(site.next_send(now), now + 10s);
    now += 10s;
    EXPECT_EQ(drain(site), 80U);
  }
  EXPECT_FALSE(site.receive_id());
}

TEST_F(SiteTest, KeepsFewAnswersForLaterAndNoneForLong) {
  probe::ProbeSite site(options);
  open(site);
  for (int i = 0; i < 100; ++i) later(site, 1000);
  later(site, 601'000);
  now += 20min;
  EXPECT_EQ(drain(site), 80U * probe::ProbeSite::kLaterMax);
}

TEST_F(SiteTest, AnswersForLaterAreGoneWhenNobodyTakesThem) {
  probe::ProbeSite site(options);
  open(site);
  later(site, 600'000);
  tell(site, wire::ProbeStop{wire::ProbeId(1)});
  now = *site.next_deadline();
  site.on_deadline(now);
  EXPECT_FALSE(site.receive_id());
  EXPECT_FALSE(gate.taken());
}

TEST_F(SiteTest, FillsAsMuchAsItIsAskedAndSaysWhenAllCame) {
  probe::ProbeSite site(options);
  open(site);
  static_cast<void>(heard(site));
  std::uint64_t left = 200'000;
  while (left > 0) {
    EXPECT_FALSE(heard(site));
    const session::Message message = probe::fill_message(wire::ProbeId(1), 200'000, &left);
    site.on_message(now, message.lane, message.body);
  }
  EXPECT_EQ(std::get<wire::ProbeFilled>(*heard(site)).bytes, 200'000U);
  tell(site, wire::ProbeFetch{wire::ProbeId(1), 300'000});
  std::uint64_t bytes = 0;
  while (const auto message = heard(site))
    bytes += std::get<wire::ProbeFill>(*message).bytes.size();
  EXPECT_EQ(bytes, 300'000U);
  EXPECT_EQ(site.spent_bytes(), 500'000U);
}

TEST_F(SiteTest, FillsBeyondTheBudgetBreakTheProtocol) {
  probe::ProbeSite fetched(options);
  open(fetched);
  tell(fetched, wire::ProbeFetch{wire::ProbeId(1), kBudget + 1});
  EXPECT_TRUE(fetched.take_broken());
  tell(fetched, wire::ProbeStop{wire::ProbeId(1)});
  probe::ProbeSite filled(options);
  open(filled);
  std::uint64_t left = 2 * kBudget;
  while (left > kBudget - wire::kFillMax) {
    const session::Message message = probe::fill_message(wire::ProbeId(1), 2 * kBudget, &left);
    filled.on_message(now, message.lane, message.body);
    filled.check();
  }
  EXPECT_TRUE(filled.take_broken());
  EXPECT_LE(filled.spent_bytes(), kBudget);
}

}  // namespace
}  // namespace longhaul::test
