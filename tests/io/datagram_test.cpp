#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <set>

#include "lib/base/rng.hpp"
#include "lib/io/address_watch.hpp"
#include "lib/io/asio_env.hpp"
#include "lib/io/datagram_hub.hpp"
#include "lib/io/task_group.hpp"
#include "lib/io/udp_group.hpp"
#include "lib/io/udp_port.hpp"

namespace longhaul::io {
namespace {

// A batch of `count` datagrams of `each` bytes (the last one shorter), numbered in their first two.
Slice batch(std::size_t count, std::size_t each, std::size_t last, std::size_t first_number) {
  ByteVector bytes((count - 1) * each + last, std::byte{7});
  for (std::size_t i = 0; i < count; ++i)
    store_le(MutableBytes(bytes).subspan(i * each), static_cast<std::uint16_t>(first_number + i));
  return Slice::copy_of(bytes);
}

struct Heard {
  std::set<unsigned> numbers;
  std::size_t bytes = 0;
  std::size_t batches = 0;
  datagram::Address from;
};
void hear(Heard& heard, const ReceivedDatagrams& in) {
  ++heard.batches;
  heard.from = in.from;
  heard.bytes += in.bytes.size();
  for (std::size_t at = 0; at < in.bytes.size(); at += in.each_bytes)
    heard.numbers.insert(load_le<std::uint16_t>(in.bytes.bytes().subspan(at)));
}

Task<> receive(DatagramPort& port, std::size_t count, Heard& heard) {
  while (heard.numbers.size() < count) {
    const auto got = co_await port.receive();
    if (!got) break;
    for (const ReceivedDatagrams& in : *got) hear(heard, in);
  }
}

Task<> give_up(Env& env, DatagramPort& port) {  // a lost datagram must not hang the test
  const Time late = env.now() + 10s;
  co_await env.sleep_until(late);
  port.close();
}

struct Case {
  const char* host;
  bool offload;
};

Task<> send_and_receive(Env& env, Case how, Heard& heard, DatagramInfo& sender,
                        DatagramInfo& receiver, Endpoint& from) {
  auto in = env.datagrams({how.host, 0}).value();
  auto out = env.datagrams({how.host, 0}).value();
  if (!how.offload) {
    dynamic_cast<UdpPort&>(*in).without_offload();
    dynamic_cast<UdpPort&>(*out).without_offload();
  }
  TaskGroup group(env.executor());
  group.spawn(receive(*in, 123, heard));
  const TaskId limit = group.spawn(give_up(env, *in));
  const datagram::Address to = to_address(in->local()).value();
  EXPECT_EQ(out->send(to, batch(100, 1200, 1200, 0), 1200), DatagramPort::Sent::kAll);
  EXPECT_EQ(out->send(to, batch(22, 900, 17, 100), 900), DatagramPort::Sent::kAll);
  EXPECT_EQ(out->send(to, batch(1, 40, 40, 122), 40), DatagramPort::Sent::kAll);
  while (heard.numbers.size() < 123 && group.size() > 1) {
    const Time soon = env.now() + 1ms;
    co_await env.sleep_until(soon);
  }
  group.cancel(limit);
  try {
    co_await group.join();
  } catch (const boost::system::system_error&) {  // the limit was cancelled
  }
  sender = out->info();
  receiver = in->info();
  from = out->local();
}

class DatagramPortOn : public testing::TestWithParam<Case> {};

TEST_P(DatagramPortOn, CarriesBatchesWithTheirBoundariesAndSource) {
  AsioEnv env;
  Heard heard;
  DatagramInfo sender, receiver;
  Endpoint from;
  env.run(send_and_receive(env, GetParam(), heard, sender, receiver, from), {});
  EXPECT_EQ(heard.numbers.size(), 123U);
  EXPECT_EQ(heard.bytes, 100U * 1200 + 21U * 900 + 17 + 40);
  EXPECT_EQ(to_endpoint(heard.from), from);
  EXPECT_EQ(sender.sent, 123U);
  EXPECT_EQ(receiver.received, 123U);
  if (GetParam().offload && sender.segments) {
    EXPECT_LE(sender.send_calls, 4U) << "a batch is a call";
  }
  if (!GetParam().offload) {
    EXPECT_EQ(heard.batches, 123U);
  }
}

INSTANTIATE_TEST_SUITE_P(Datagrams, DatagramPortOn,
                         testing::Values(Case{"127.0.0.1", true}, Case{"127.0.0.1", false},
                                         Case{"::1", true}, Case{"::1", false}));

Task<> too_big(Env& env, DatagramPort::Sent& sent, DatagramPort::Sent& after) {
  auto port = env.datagrams({"127.0.0.1", 0}).value();
  const datagram::Address to = to_address({"127.0.0.1", 9}).value();
  sent = port->send(to, Slice::copy_of(ByteVector(65'535)), 65'535);  // more than IPv4 carries
  after = port->send(to, Slice::copy_of(ByteVector(100)), 100);
  co_return;
}

TEST(DatagramPort, SaysWhatIsTooBigAndGoesOn) {
  AsioEnv env;
  auto sent = DatagramPort::Sent::kAll, after = DatagramPort::Sent::kBlocked;
  env.run(too_big(env, sent, after), {});
  EXPECT_EQ(sent, DatagramPort::Sent::kTooBig);
  EXPECT_EQ(after, DatagramPort::Sent::kAll);
}

Task<> waits(Env& env, int& times) {
  auto port = env.datagrams({"127.0.0.1", 0}).value();
  rlimit before{};
  ::getrlimit(RLIMIT_NOFILE, &before);
  const int free = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  ::close(free);
  const rlimit none{static_cast<rlim_t>(free), before.rlim_max};
  ::setrlimit(RLIMIT_NOFILE, &none);
  const int refused = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  if (refused >= 0) ::close(refused);
  for (int time = 0; time < 2 && refused < 0; ++time) {
    const Result<> waited = co_await port->wait_writable();
    if (waited) ++times;
  }
  ::setrlimit(RLIMIT_NOFILE, &before);
}

TEST(DatagramPort, GoesOnSendingWhenTheProcessHasNoDescriptorLeft) {
  AsioEnv env;
  int times = 0;
  env.run(waits(env, times), {});
  EXPECT_EQ(times, 2);
}

// A peer's port may be anything: what nobody can send says nothing about segmentation.
Task<> to_no_port(Env& env, DatagramInfo& before, DatagramInfo& after) {
  auto port = env.datagrams({"127.0.0.1", 0}).value();
  before = port->info();
  datagram::Address nowhere = to_address({"127.0.0.1", 9}).value();
  nowhere.port = 0;
  EXPECT_EQ(port->send(nowhere, batch(3, 100, 100, 0), 100), DatagramPort::Sent::kAll);
  after = port->info();
  co_return;
}

TEST(DatagramPort, WhatIsRefusedOneByOneTooDoesNotEndSegmentation) {
  AsioEnv env;
  DatagramInfo before, after;
  env.run(to_no_port(env, before, after), {});
  EXPECT_EQ(after.unsendable, 3U);
  EXPECT_EQ(after.sent, 0U);
  EXPECT_EQ(after.segments, before.segments);
}

TEST(UdpReader, AStepOfTheWallClockMovesNoArrivalFar) {
  const Time now = Time{} + 100s, emptied = now - 3ms;
  const Duration ahead = -400s;  // the wall clock says 500 s
  EXPECT_EQ(came_at(500s - 1ms, ahead, now, emptied), now - 1ms);
  EXPECT_EQ(came_at(std::nullopt, ahead, now, emptied), now);
  EXPECT_EQ(came_at(499s, ahead, now, emptied), emptied);  // set forward by a second
  EXPECT_EQ(came_at(501s, ahead, now, emptied), now);      // and back
  EXPECT_EQ(came_at(100s, ahead, now, Time{}), now - 2s);
}

TEST(UdpReader, WhatSeveralSocketsHeldIsInOrderAndWhatCameMeanwhileWaits) {
  std::vector<ReceivedDatagrams> got(5), later;
  const int came_ms[] = {3, 8, 1, 2, 9};  // of two sockets, one after the other
  for (std::size_t i = 0; i < got.size(); ++i) got[i].came = Time{} + came_ms[i] * 1ms;
  UdpReader::split(got, later, Time{} + 5ms);
  ASSERT_EQ(got.size(), 3U);
  ASSERT_EQ(later.size(), 2U);
  EXPECT_EQ(got[0].came, Time{} + 1ms);
  EXPECT_EQ(got[2].came, Time{} + 3ms);
  EXPECT_EQ(later[1].came, Time{} + 9ms);
}

TEST(UdpReader, HoldsLittleOfWhatManyFullSocketsOffer) {
  constexpr std::size_t kSockets = 24, kEach = 100, kHeldMost = 256;  // 16 MiB in 64 KiB
  std::vector<int> sockets;
  const ByteVector bytes(9000, std::byte{7});
  for (std::size_t i = 0; i < kSockets; ++i) {
    const int fd = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    sockets.push_back(fd);
    const int wanted = 4 << 20;
    if (::setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &wanted, sizeof wanted) != 0) {
      for (const int one : sockets) ::close(one);
      GTEST_SKIP() << "receive buffers past net.core.rmem_max take CAP_NET_ADMIN";
    }
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof at;
    auto* const address = reinterpret_cast<sockaddr*>(&at);
    ASSERT_EQ(::bind(fd, address, length), 0);
    ASSERT_EQ(::getsockname(fd, address, &length), 0);
    for (std::size_t n = 0; n < kEach; ++n)
      static_cast<void>(::sendto(fd, bytes.data(), bytes.size(), 0, address, length));
  }
  AsioEnv env;
  std::size_t most = 0;
  {
    BufferPool pool;
    UdpReader reader(sockets, env.executor(), pool);
    const auto end = std::chrono::steady_clock::now() + 10s;
    while (reader.counters().received + reader.counters().overrun < kSockets * kEach / 2 &&
           std::chrono::steady_clock::now() < end)
      for (int i = 0; i < 1000; ++i) most = std::max(most, pool.lent());
  }
  for (const int one : sockets) ::close(one);
  EXPECT_GT(most, kHeldMost / 2);
  // What waits for its taker, what one turn reads more, and the reader's own batches.
  EXPECT_LE(most, 2 * kHeldMost + 4 * UdpReader::kReceiveBatch);
}

TEST(UdpGroup, EachSocketGetsSomeOfOneSenders) {
  const int first = ::socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t at_bytes = sizeof at;
  auto* const name = reinterpret_cast<sockaddr*>(&at);
  ASSERT_EQ(::bind(first, name, at_bytes), 0);
  ASSERT_EQ(::getsockname(first, name, &at_bytes), 0);
  std::vector<int> sockets = open_siblings(first, 7);
  ASSERT_EQ(sockets.size(), 7U);
  sockets.push_back(first);
  const int sender = ::socket(AF_INET, SOCK_DGRAM, 0);
  for (int i = 0; i < 800; ++i) ASSERT_EQ(::sendto(sender, "x", 1, 0, name, at_bytes), 1);
  std::size_t all = 0;
  for (const int socket : sockets) {
    std::size_t got = 0;
    for (char byte = 0; ::recv(socket, &byte, 1, 0) == 1;) ++got;
    EXPECT_GT(got, 0U);  // none of 800: (7/8)^800
    all += got;
    ::close(socket);
  }
  ::close(sender);
  EXPECT_EQ(all, 800U);
}

Task<> open_twice(Env& env, bool& busy) {
  auto first = env.datagrams({"127.0.0.1", 0}).value();
  const auto second = env.datagrams(first->local());
  busy = !second.has_value();
  co_return;
}

TEST(UdpGroup, AnothersPortIsNotShared) {
  AsioEnv env;
  bool busy = false;
  env.run(open_twice(env, busy), {});
  EXPECT_TRUE(busy);
}

// 600 of 1,200 bytes cost the kernel some 2,300 each: a socket of 208 KiB holds 180 of them.
Task<> while_nobody_reads(Env& env, std::size_t& unread, bool& in_order) {
  auto in = env.datagrams({"127.0.0.1", 0}).value();
  const int sender = ::socket(AF_INET, SOCK_DGRAM, 0);
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(in->local().port);
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  for (std::uint16_t i = 0; i < 600; ++i) {
    std::array<std::byte, 1200> bytes{};
    store_le(MutableBytes(bytes), i);
    ::sendto(sender, bytes.data(), bytes.size(), 0, reinterpret_cast<sockaddr*>(&to), sizeof to);
  }
  ::close(sender);
  std::vector<unsigned> numbers;
  while (numbers.size() < 600 - in->info().overrun) {
    const auto got = co_await in->receive();
    if (!got) break;
    for (const ReceivedDatagrams& one : *got)
      numbers.push_back(load_le<std::uint16_t>(one.bytes.bytes()));
  }
  unread = numbers.size();
  in_order = std::is_sorted(numbers.begin(), numbers.end());
}

TEST(DatagramPort, OneSendersDatagramsStayInOrderOverAllItsSockets) {
  AsioEnv env;
  std::size_t got = 0;
  bool in_order = false;
  env.run(while_nobody_reads(env, got, in_order), {});
  EXPECT_GE(got, 500U);
  EXPECT_TRUE(in_order);
}

TEST(DatagramPort, AddressesGoBothWays) {
  for (const char* host : {"192.0.2.7", "2001:db8::5", "::1"}) {
    const Endpoint endpoint{host, 4711};
    EXPECT_EQ(to_endpoint(to_address(endpoint).value()), endpoint);
  }
  EXPECT_FALSE(to_address({"gpu.example.org", 1}).has_value());
}

struct Recorder final : DatagramHub::User {
  Heard heard;
  void on_datagrams(const ReceivedDatagrams& in) override { hear(heard, in); }
  void on_datagrams_blocked(bool) override {}
};

// The limit on the test's time is all that bounds this.
Task<> wait_for_strangers(Env& env, const DatagramHub& hub, std::uint64_t count) {
  while (hub.strangers() < count) {
    const Time soon = env.now() + 1ms;
    co_await env.sleep_until(soon);
  }
}

Slice for_session(std::uint8_t first, std::uint8_t id) {  // a short header's fixed bit, then the id
  ByteVector bytes(60, std::byte{id});
  bytes[0] = std::byte{first};
  return Slice::copy_of(bytes);
}

Task<> two_sessions(Env& env, Recorder& a, Recorder& b, std::uint64_t& strangers) {
  DatagramHub hub(env.executor(), env.datagrams({"127.0.0.1", 0}).value());
  TaskGroup group(env.executor());
  group.spawn(hub.run());
  datagram::ConnectionId id_a, id_b;
  id_a.fill(std::byte{0xA});
  id_b.fill(std::byte{0xB});
  hub.add(a);
  hub.claim(id_a, a);
  hub.claim(id_b, b);
  auto out = env.datagrams({"127.0.0.1", 0}).value();
  const datagram::Address to = to_address(hub.local()).value();
  out->send(to, for_session(0x40, 0xA), 60);
  out->send(to, for_session(0x40, 0xB), 60);
  out->send(to, for_session(0x40, 0xC), 60);  // nobody's
  out->send(to, for_session(0xC0, 0xA), 60);  // a long header is not ours
  out->send(to, Slice::copy_of("x"), 1);
  co_await wait_for_strangers(env, hub, 3);  // these came last: loopback keeps the order
  hub.forget(a);
  out->send(to, for_session(0x40, 0xA), 60);
  co_await wait_for_strangers(env, hub, 4);
  strangers = hub.strangers();
  hub.close();
  co_await group.join();
}

TEST(DatagramHub, GivesEachSessionItsOwnAndStrangersNothing) {
  AsioEnv env;
  Recorder a, b;
  std::uint64_t strangers = 0;
  env.run(two_sessions(env, a, b, strangers), {});
  EXPECT_EQ(a.heard.batches, 1U);
  EXPECT_EQ(b.heard.batches, 1U);
  EXPECT_EQ(strangers, 4U);
}

Task<> overtaken(Env& env, Recorder& late, Recorder& other, std::uint8_t floods) {
  DatagramHub hub(env.executor(), env.datagrams({"127.0.0.1", 0}).value());
  TaskGroup group(env.executor());
  group.spawn(hub.run());
  datagram::ConnectionId id, another;
  id.fill(std::byte{0xA});
  another.fill(std::byte{0xB});
  auto out = env.datagrams({"127.0.0.1", 0}).value();
  const datagram::Address to = to_address(hub.local()).value();
  out->send(to, for_session(0x40, 0xA), 60);
  co_await wait_for_strangers(env, hub, 1);
  for (std::uint8_t i = 0; i < floods; ++i) {
    out->send(to, for_session(0x40, 0xC), 60);
    co_await wait_for_strangers(env, hub, 2U + i);
  }
  hub.add(late);
  hub.claim(another, other);
  hub.claim(id, late);
  EXPECT_EQ(late.heard.batches, 0U);  // who claims is in the middle of a step
  out->send(to, for_session(0x40, 0xB), 60);
  while (other.heard.batches == 0) {
    const Time soon = env.now() + 1ms;
    co_await env.sleep_until(soon);
  }
  hub.close();
  co_await group.join();
}

// A session's first datagrams come while its Hello is still looked at.
TEST(DatagramHub, WhatOvertookTheHelloIsHeardOnce) {
  AsioEnv env;
  Recorder late, other;
  env.run(overtaken(env, late, other, 10), {});
  EXPECT_EQ(late.heard.batches, 1U);
}

TEST(DatagramHub, KeepsLittleForThoseToCome) {
  AsioEnv env;
  Recorder late, other;
  static_assert(DatagramHub::kEarlyMost <= 200);
  env.run(overtaken(env, late, other, 200), {});
  EXPECT_EQ(late.heard.batches, 0U);  // strangers have taken its place
}

Task<> change_an_address(Env& env, bool& heard) {
  auto watch = AddressWatch::open(env.executor()).value();
  if (std::system("ip address add 192.0.2.1/32 dev lo") != 0) co_return;
  const auto changed = co_await watch->changed();
  heard = changed.has_value();
}

TEST(AddressWatch, HearsThatAnAddressCame) {
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {  // in a network of its own
    if (::unshare(CLONE_NEWNET) != 0) ::_exit(77);
    AsioEnv env;
    bool heard = false;
    ::alarm(60);
    env.run(change_an_address(env, heard), {});
    ::_exit(heard ? 0 : 1);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
    GTEST_SKIP() << "a network namespace takes root";
  EXPECT_EQ(status, 0);
}

}  // namespace
}  // namespace longhaul::io
