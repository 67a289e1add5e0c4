#include "lib/io/asio_env.hpp"

#include <gtest/gtest.h>

#include <thread>

#include "lib/io/task_group.hpp"

namespace longhaul::io {
namespace {

Task<> echo_once(Listener& listener) {
  auto accepted = co_await listener.accept();
  auto stream = std::move(*accepted);
  for (;;) {
    const Result<Slice> in = co_await stream->read();
    if (!in || in->empty()) break;
    std::vector<Slice> parts{*in};
    const Result<> sent = co_await stream->write(std::move(parts));
    if (!sent) break;
  }
}

Task<> talk_to_echo(Env& env, std::string& heard, StreamInfo& info) {
  auto listener = env.listen({"127.0.0.1", 0});
  TaskGroup group(env.executor());
  group.spawn(echo_once(**listener));
  const Endpoint there = (*listener)->local();
  const StreamOptions options;
  auto dialed = co_await env.dial(there, options);
  auto stream = std::move(*dialed);
  const StreamTuning tuning{BytesPerSecond(1'000'000), 16384, false};
  stream->tune(tuning);
  const Result<> ready = co_await stream->wait_writable();
  EXPECT_TRUE(ready.has_value());
  std::vector<Slice> parts{Slice::copy_of("hel"), Slice::copy_of("lo")};
  const Result<> sent = co_await stream->write(std::move(parts));
  EXPECT_TRUE(sent.has_value());
  const Result<Slice> back = co_await stream->read();
  heard = text_of(back->bytes());
  info = stream->info();
  stream->finish();
  co_await group.join();
}

TEST(AsioEnv, StreamsCarryBytesBothWays) {
  AsioEnv env;
  std::string heard;
  StreamInfo info;
  env.run(talk_to_echo(env, heard, info), {});
  EXPECT_EQ(heard, "hello");
  EXPECT_EQ(info.bytes_acked, 6U);  // with the SYN
  EXPECT_FALSE(info.congestion_control.empty());
}

// The accepted end's kernel is bound by what the SYN said.
Task<> accept_segments(Listener& listener, int& bytes) {
  auto accepted = co_await listener.accept();
  bytes = static_cast<int>((*accepted)->info().segment_bytes);
}

Task<> dial_in_small_segments(Env& env, int& here, int& there) {
  auto listener = env.listen({"127.0.0.1", 0});
  TaskGroup group(env.executor());
  group.spawn(accept_segments(**listener, there));
  const Endpoint at = (*listener)->local();
  StreamOptions options;
  options.segment_max_bytes = 1208;
  auto dialed = co_await env.dial(at, options);
  here = static_cast<int>((*dialed)->info().segment_bytes);
  co_await group.join();
}

TEST(AsioEnv, SmallSegmentsAreAgreedOnByTheSyn) {
  AsioEnv env;
  int here = 0, there = 0;
  env.run(dial_in_small_segments(env, here, there), {});
  EXPECT_GT(here, 1000);
  EXPECT_LE(here, 1208);
  EXPECT_GT(there, 1000);
  EXPECT_LE(there, 1208);
}

Task<> dial_nobody(Env& env, Error& error) {
  auto listener = env.listen({"127.0.0.1", 0});
  const Endpoint closed = (*listener)->local();
  listener->reset();
  const StreamOptions options;
  const auto dialed = co_await env.dial(closed, options);
  error = dialed.error();
}

TEST(AsioEnv, DialingNobodyIsALinkError) {
  AsioEnv env;
  Error error;
  env.run(dial_nobody(env, error), {});
  EXPECT_EQ(error.kind(), Kind::kLink);
  EXPECT_NE(error.message().find("connect to 127.0.0.1:"), std::string::npos);
}

class WhoRan final : public Work {
 public:
  void run() override { ran_on = std::this_thread::get_id(); }
  std::thread::id ran_on;
};
Task<> work_once(Env& env, std::thread::id& ran_on, std::thread::id& came_back_on) {
  Job job{JobId(1), JobClass::kDisk, std::make_unique<WhoRan>()};
  const Job done = co_await env.work(std::move(job));
  ran_on = done.as<WhoRan>().ran_on;
  came_back_on = std::this_thread::get_id();
}

TEST(AsioEnv, WorkRunsElsewhereAndComesBack) {
  AsioEnv env;
  std::thread::id ran_on, came_back_on;
  env.run(work_once(env, ran_on, came_back_on), {});
  EXPECT_NE(ran_on, std::this_thread::get_id());
  EXPECT_EQ(came_back_on, std::this_thread::get_id());
}

Task<> move_alarm(Env& env, Alarm& alarm) {
  const Time soon = env.now() + 1ms;
  co_await env.sleep_until(soon);
  alarm.set(env.now() + 1ms);
}
Task<> ring_once(Env& env, Duration& waited) {
  const std::unique_ptr<Alarm> alarm = env.alarm();
  alarm->set(env.now() + 1h);
  TaskGroup group(env.executor());
  const Time start = env.now();  // before the other task can run: its deadline counts from later
  group.spawn(move_alarm(env, *alarm));
  co_await alarm->ring();
  waited = env.now() - start;
  co_await group.join();
}

TEST(AsioEnv, AnAlarmCanBeMovedWhileSomebodyWaits) {
  AsioEnv env;
  Duration waited{};
  env.run(ring_once(env, waited), {});
  EXPECT_GE(waited, 2ms);
  EXPECT_LT(waited, 1h);
}

TEST(AsioEnv, ListeningOnATakenPortSaysBusy) {
  AsioEnv env;
  const auto first = env.listen({"127.0.0.1", 0});
  const auto second = env.listen((*first)->local());
  EXPECT_EQ(second.error().kind(), Kind::kBusy);
}

}  // namespace
}  // namespace longhaul::io
