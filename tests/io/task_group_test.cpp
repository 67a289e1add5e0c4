#include "lib/io/task_group.hpp"

#include <gtest/gtest.h>

#include "lib/io/asio_env.hpp"

namespace longhaul::io {
namespace {

Task<> fail_at_once() {
  throw std::runtime_error("broken");
  co_return;
}
Task<> sleep_long(Env& env, bool& finished) {
  co_await env.sleep_until(env.now() + 1h);
  finished = true;
}
Task<> fail_one_of_two(Env& env, std::string& what, bool& finished) {
  TaskGroup group(env.executor());
  group.spawn(sleep_long(env, finished));
  group.spawn(fail_at_once());
  try {
    co_await group.join();
  } catch (const std::runtime_error& error) {
    what = error.what();
  }
}

TEST(TaskGroup, FirstFailureCancelsTheRestAndIsRethrown) {
  AsioEnv env;
  std::string what;
  bool finished = false;
  env.run(fail_one_of_two(env, what, finished), {});
  EXPECT_EQ(what, "broken");
  EXPECT_FALSE(finished);
}

Task<> wait_for(Signal& signal, int& woken) {
  co_await signal.wait();
  ++woken;
}
Task<> cancel_one_of_two(Env& env, int& woken) {
  TaskGroup group(env.executor());
  Signal first(env.executor());
  Signal second(env.executor());
  const TaskId stopped = group.spawn(wait_for(first, woken));
  group.spawn(wait_for(second, woken));
  group.cancel(stopped);
  second.notify();
  co_await group.join();
}

TEST(TaskGroup, CancelsOneChildAlone) {
  AsioEnv env;
  int woken = 0;
  env.run(cancel_one_of_two(env, woken), {});
  EXPECT_EQ(woken, 1);
}

Task<> notify_first(Env& env, int& woken) {
  Signal signal(env.executor());
  signal.notify();
  signal.notify();
  co_await wait_for(signal, woken);
}

TEST(Signal, RemembersANotifyBeforeTheWait) {
  AsioEnv env;
  int woken = 0;
  env.run(notify_first(env, woken), {});
  EXPECT_EQ(woken, 1);
}

}  // namespace
}  // namespace longhaul::io
