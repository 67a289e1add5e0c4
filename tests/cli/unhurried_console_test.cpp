// Words that nobody takes, or not yet, hold up nobody who speaks.
#include "lib/cli/unhurried_console.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>

namespace longhaul::cli {
namespace {

using namespace std::chrono_literals;

// A pipe or a terminal that stands still until it is told to go on.
class Standing final : public Console {
 public:
  void out(std::string_view text) override { take("out:", text); }
  void err(std::string_view text) override { take("err:", text); }
  bool err_is_terminal() const override { return false; }
  unsigned width() const override { return 200; }

  void go_on() {
    const std::lock_guard lock(mutex_);
    stands_ = false;
    moved_.notify_all();
  }
  // Once somebody is in a write.
  void until_held() {
    std::unique_lock lock(mutex_);
    moved_.wait(lock, [&] { return held_; });
  }
  std::string until(std::string_view word) {
    std::unique_lock lock(mutex_);
    moved_.wait(lock, [&] { return text_.find(word) != std::string::npos; });
    return text_;
  }

 private:
  void take(const char* where, std::string_view text) {
    std::unique_lock lock(mutex_);
    held_ = true;
    moved_.notify_all();
    moved_.wait(lock, [&] { return !stands_; });
    text_ += where;
    text_ += text;
    moved_.notify_all();
  }
  std::mutex mutex_;
  std::condition_variable moved_;
  bool stands_ = true, held_ = false;
  std::string text_;
};

TEST(UnhurriedConsole, WritesAllInOrderBeforeItEnds) {
  StringConsole to;
  {
    UnhurriedConsole words(to);
    for (int i = 0; i < 100; ++i) words.err(fmt::format("{} ", i));
    words.out("data");
  }
  std::string all;
  for (int i = 0; i < 100; ++i) all += fmt::format("{} ", i);
  EXPECT_EQ(to.err_text, all);
  EXPECT_EQ(to.out_text, "data");
}

TEST(UnhurriedConsole, HoldsUpNobodyWhileItStands) {
  Standing to;
  {
    UnhurriedConsole words(to);
    words.err("a\n");
    to.until_held();
    words.err("b\n");  // returns, though nothing moves
    to.go_on();
    words.out("c\n");
  }
  EXPECT_EQ(to.until("c"), "err:a\nerr:b\nout:c\n");
}

TEST(UnhurriedConsole, CountsWhatItLeavesOut) {
  Standing to;
  {
    UnhurriedConsole words(to);
    words.err("first\n");
    to.until_held();
    const std::string line(1023, 'x');
    for (int i = 0; i < 300; ++i) words.err(line + "\n");
    words.err("last\n");
    to.go_on();
  }
  // The first is being written, 255 lines and the last fit: the oldest 45 made room.
  const std::string text = to.until("last");
  const std::string gap = "(45 lines left out: nobody took them in time)\n";
  EXPECT_EQ(text.substr(0, 10 + 4 + gap.size()), "err:first\nerr:" + gap);
  EXPECT_EQ(text.size(), 10 + 4 + gap.size() + 1024 + 254 * 1028 + 9) << text.substr(0, 200);
}

// What stands is stderr alone.
class HalfStanding final : public Console {
 public:
  void out(std::string_view text) override { out_text += text; }
  void err(std::string_view text) override { standing.err(text); }
  bool err_is_terminal() const override { return false; }
  unsigned width() const override { return 200; }
  Standing standing;
  std::string out_text;
};

TEST(UnhurriedConsole, DataGoesPastProgressThatStands) {
  HalfStanding to;
  {
    UnhurriedConsole words(to, 2s);
    words.err("step");
    words.out("summary");
  }
  EXPECT_EQ(to.out_text, "summary");
  to.standing.go_on();
  EXPECT_EQ(to.standing.until("step"), "err:step");
}

// A reader that takes a line now and then: whoever ends waits once, not for each line.
class Slow final : public Console {
 public:
  void out(std::string_view) override {}
  void err(std::string_view) override {
    std::unique_lock lock(mutex_);
    never_.wait_for(lock, 2ms);
    ++*taken;
  }
  bool err_is_terminal() const override { return false; }
  unsigned width() const override { return 200; }
  std::atomic<int>* taken = nullptr;

 private:
  std::mutex mutex_;
  std::condition_variable never_;
};

TEST(UnhurriedConsole, EndsBesideAReaderWhoTakesALineNowAndThen) {
  static std::atomic<int> taken{0};
  static auto& to = *new Slow;  // its thread is left behind
  to.taken = &taken;
  {
    UnhurriedConsole words(to, 20ms);
    for (int i = 0; i < 3000; ++i) words.err("step\n");
  }
  EXPECT_LT(taken.load(), 3000);
}

TEST(UnhurriedConsole, LeavesBehindWhatStandsForEver) {
  Standing to;
  {
    UnhurriedConsole words(to, 20ms);
    words.err("a");
    words.err("b");
    to.until_held();
  }  // ends, though nobody took a word
  to.go_on();
  EXPECT_EQ(to.until("b"), "err:aerr:b");  // the thread still owns what it writes
}

}  // namespace
}  // namespace longhaul::cli
