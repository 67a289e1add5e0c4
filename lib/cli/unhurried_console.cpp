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

  void put(std::string_view text) {
    const std::lock_guard lock(mutex_);
    if (text.size() > most_ - bytes_) {
      ++left_out_;
      return;
    }
    bytes_ += text.size();
    waiting_.emplace_back(text);
    moved_.notify_all();
  }

  // false: for so long nothing was taken.
  bool all_taken_within(std::chrono::milliseconds patience) {
    std::unique_lock lock(mutex_);
    for (std::uint64_t before = taken_;; before = taken_) {
      if (moved_.wait_for(lock, patience, [&] { return bytes_ == 0 || taken_ != before; })) {
        if (bytes_ == 0) return true;
      } else {
        return false;
      }
    }
  }

  void end() {
    const std::lock_guard lock(mutex_);
    ending_ = true;
    moved_.notify_all();
  }

 private:
  void serve(Console& to, Write write) {
    std::unique_lock lock(mutex_);
    for (;;) {
      moved_.wait(lock, [&] { return ending_ || !waiting_.empty(); });
      if (waiting_.empty()) return;
      const std::string text = std::move(waiting_.front());
      waiting_.pop_front();
      lock.unlock();
      (to.*write)(text);
      lock.lock();
      bytes_ -= text.size();
      ++taken_;
      tell_of_gap();
      moved_.notify_all();
    }
  }

  // There is room again: what did not come is told of at its place.
  void tell_of_gap() {
    if (left_out_ == 0 || bytes_ > most_ / 2) return;
    waiting_.push_back(fmt::format("({} lines left out: nobody took them in time)\n", left_out_));
    bytes_ += waiting_.back().size();
    left_out_ = 0;
  }

  const std::size_t most_;
  std::mutex mutex_;
  std::condition_variable moved_;
  std::deque<std::string> waiting_;
  std::size_t bytes_ = 0;  // with those being written
  std::uint64_t left_out_ = 0, taken_ = 0;
  bool ending_ = false;
};

UnhurriedConsole::UnhurriedConsole(Console& to, std::chrono::milliseconds patience)
    : to_(to),
      patience_(patience),
      err_(Desk::open(to, &Console::err, kKept)),
      out_(Desk::open(to, &Console::out, std::numeric_limits<std::size_t>::max())) {}

UnhurriedConsole::~UnhurriedConsole() {
  for (const auto& desk : {err_, out_}) {
    desk->all_taken_within(patience_);
    desk->end();
  }
}

void UnhurriedConsole::err(std::string_view text) {
  err_->put(text);
}
void UnhurriedConsole::out(std::string_view text) {
  err_->all_taken_within(patience_);
  out_->put(text);
}

}  // namespace longhaul::cli
