// A socket that is full, in the middle of a batch or before it: what it did not take is sent later
// as it is. A packet is sealed under its number before it gets here; sealed again under the same it
// would tell whoever compares both, so the bytes that go later must be those that were refused.
//
// No test fills a socket of loopback's, which takes all there is. This program's own sendmsg() and
// sendmmsg() stand before the C library's and take as much as the test wants.
#include <dlfcn.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <deque>
#include <vector>

#include "lib/base/rng.hpp"
#include "lib/io/asio_env.hpp"
#include "lib/io/task_group.hpp"
#include "lib/io/udp_port.hpp"

namespace {
// What the next calls take: datagrams, none of them for a socket that is full. Behind the last:
// all.
std::deque<unsigned> takes;
unsigned refusals = 0;

unsigned next_take(unsigned wanted) {
  if (takes.empty()) return wanted;
  const unsigned take = std::min(takes.front(), wanted);
  takes.pop_front();
  if (take == 0) {
    ++refusals;
    errno = EAGAIN;
  }
  return take;
}
template <class Call>
Call* next_of(Call*, const char* name) {
  return reinterpret_cast<Call*>(::dlsym(RTLD_NEXT, name));
}
}  // namespace

extern "C" {
ssize_t sendmsg(int fd, const msghdr* message, int flags) {
  static const auto next = next_of(&sendmsg, "sendmsg");
  return next_take(1) == 0 ? -1 : next(fd, message, flags);
}
int sendmmsg(int fd, mmsghdr* messages, unsigned count, int flags) {
  static const auto next = next_of(&sendmmsg, "sendmmsg");
  const unsigned take = next_take(count);
  return take == 0 ? -1 : next(fd, messages, take, flags);
}
}

namespace longhaul::io {
namespace {

constexpr std::size_t kEach = 400, kCount = 25;

ByteVector some_packets(std::uint64_t seed) {
  ByteVector bytes(kCount * kEach - 17);  // the last one is shorter
  Rng(seed, "packets").fill(bytes);
  return bytes;
}

using Packets = std::vector<ByteVector>;
void add(Packets& to, const Slice& bytes, std::size_t each) {
  for (std::size_t at = 0; at < bytes.size(); at += each) {
    const Bytes one = bytes.bytes().subspan(at, std::min(each, bytes.size() - at));
    to.emplace_back(one.begin(), one.end());
  }
}

Task<> receive(DatagramPort& port, std::size_t count, Packets& came) {
  while (came.size() < count) {
    const auto got = co_await port.receive();
    if (!got) break;
    for (const ReceivedDatagrams& in : *got) add(came, in.bytes, in.each_bytes);
  }
}

Task<> send_through(Env& env, bool offload, Packets& sent, Packets& came, DatagramInfo& info) {
  auto in = env.datagrams({"127.0.0.1", 0}).value();
  auto out = env.datagrams({"127.0.0.1", 0}).value();
  if (!offload) dynamic_cast<UdpPort&>(*out).without_offload();
  const datagram::Address to = to_address(in->local()).value();
  const Slice first = Slice::copy_of(some_packets(1)), second = Slice::copy_of(some_packets(2));
  add(sent, first, kEach);
  add(sent, second, kEach);

  TaskGroup group(env.executor());
  group.spawn(receive(*in, sent.size(), came));
  EXPECT_EQ(out->send(to, first, kEach), DatagramPort::Sent::kBlocked);
  // Behind what waits, and not before it.
  EXPECT_EQ(out->send(to, second, kEach), DatagramPort::Sent::kBlocked);
  const Result<> waited = co_await out->wait_writable();
  EXPECT_TRUE(waited.has_value());
  co_await group.join();
  info = out->info();
}

void expect_all_as_they_were(bool offload) {
  AsioEnv env;
  Packets sent, came;
  DatagramInfo info;
  env.run(send_through(env, offload, sent, came, info), {});
  EXPECT_EQ(came, sent);  // each once, in order, byte for byte
  EXPECT_EQ(info.sent, sent.size());
  EXPECT_EQ(info.unsendable, 0U);
  EXPECT_TRUE(takes.empty());
  EXPECT_EQ(refusals, 2U);
}

TEST(FullSocket, WhatSendmmsgLeftOfABatchGoesLaterAsItWas) {
  refusals = 0;
  takes = {3, 5, 0, 1, 2, 0, 4};
  expect_all_as_they_were(false);
}

TEST(FullSocket, ABatchOfSegmentsThatWasRefusedGoesLaterAsItWas) {
  refusals = 0;
  takes = {0, 1, 0};
  expect_all_as_they_were(true);
}

}  // namespace
}  // namespace longhaul::io
