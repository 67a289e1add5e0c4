#include "lib/cli/unhurried_console.hpp"

#include <fmt/format.h>

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <limits>
#include <mutex>
#include <string>
#include <thread>
#include <utility>

namespace longhaul::cli {

using Clock = std::chrono::steady_clock;

// Of one of the two descriptors: that one stands still does not hold up the other.
class UnhurriedConsole::Desk {
 public:
  using Write = void (Console::*)(std::string_view);

  static std::shared_ptr<Desk> open(Console& to, Write write, std::size_t most) {
    auto desk = std::make_shared<Desk>(most);
    std::thread([desk, &to, write] { desk->serve(to, write); }).detach();
    return desk;
  }
  explicit Desk(std::size_t most) : most_(most) {}

  // What was said last says most of how it goes, so the oldest makes room.
  void put(std::string_view text) {
    const std::lock_guard lock(mutex_);
    bytes_ += text.size();
    waiting_.emplace_back(text);
    while (bytes_ > most_ && waiting_.size() > 1) {
      bytes_ -= waiting_.front().size();
      waiting_.pop_front();
      ++left_out_;
    }
    changed_.notify_all();
  }

  // false: something is not yet written.
  bool all_taken(Clock::time_point until) {
    std::unique_lock lock(mutex_);
    return changed_.wait_until(lock, until, [&] { return waiting_.empty() && !writes_; });
  }

  void end() {
    const std::lock_guard lock(mutex_);
    ending_ = true;
    changed_.notify_all();
  }

 private:
  void serve(Console& to, Write write) {
    std::unique_lock lock(mutex_);
    for (;;) {
      changed_.wait(lock, [&] { return ending_ || !waiting_.empty(); });
      if (waiting_.empty()) return;
      std::string text = std::move(waiting_.front());
      waiting_.pop_front();
      bytes_ -= text.size();
      if (const auto gap = std::exchange(left_out_, 0); gap > 0)
        text.insert(0, fmt::format("({} lines left out: nobody took them in time)\n", gap));
      writes_ = true;
      lock.unlock();
      (to.*write)(text);
      lock.lock();
      writes_ = false;
      changed_.notify_all();
    }
  }

  const std::size_t most_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::string> waiting_;
  std::size_t bytes_ = 0;  // waiting
  std::uint64_t left_out_ = 0;
  bool writes_ = false, ending_ = false;
};

UnhurriedConsole::UnhurriedConsole(Console& to, std::chrono::milliseconds patience)
    : to_(to),
      patience_(patience),
      err_(Desk::open(to, &Console::err, kKept)),
      out_(Desk::open(to, &Console::out, std::numeric_limits<std::size_t>::max())) {}

// Half of the patience is for the progress, so that the data after it has as much.
Clock::time_point UnhurriedConsole::until(int part) {
  if (!ending_since_) ending_since_ = Clock::now();
  return *ending_since_ + patience_ * part / 2;
}

UnhurriedConsole::~UnhurriedConsole() {
  err_->all_taken(until(1));
  out_->all_taken(until(2));
  err_->all_taken(until(2));
  err_->end();
  out_->end();
}

void UnhurriedConsole::err(std::string_view text) {
  err_->put(text);
}
void UnhurriedConsole::out(std::string_view text) {
  err_->all_taken(until(1));
  out_->put(text);
}

}  // namespace longhaul::cli
