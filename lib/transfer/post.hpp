// Post: what a sender or receiver has ready for its twin, by lane, and the work it wants done. The
// exchange takes one thing at a time, most urgent first, and only what its lane has room for. Bulk
// stays with the sender, which decides late what goes next.
#pragma once

#include <array>
#include <deque>
#include <memory>
#include <optional>
#include <variant>

#include "lib/session/service.hpp"

namespace longhaul::transfer {

struct Task {  // a Job without its number, which the exchange gives
  JobClass where = JobClass::kDisk;
  std::unique_ptr<Work> work;
};

using Output = std::variant<session::Message, Task>;

class Post {
 public:
  void message(session::Lane lane, Slice body) {
    queued_bytes_ += body.size();
    lanes_[static_cast<std::size_t>(lane)].push_back(std::move(body));
  }
  // Newest wins: one live message, replaced while it waits.
  void live(std::uint64_t key, Slice body) {
    auto& lane = lanes_[static_cast<std::size_t>(session::Lane::kLive)];
    live_key_ = key;
    if (!lane.empty()) queued_bytes_ -= lane.front().size();
    lane.clear();
    queued_bytes_ += body.size();
    lane.push_back(std::move(body));
  }
  void task(JobClass where, std::unique_ptr<Work> work) {
    tasks_.push_back(Task{where, std::move(work)});
  }

  std::optional<Output> next(const session::Room& room) {
    if (!tasks_.empty()) {
      Task task = std::move(tasks_.front());
      tasks_.pop_front();
      return Output(std::move(task));
    }
    for (std::size_t lane = 0; lane < session::kLaneCount; ++lane) {
      auto& queue = lanes_[lane];
      if (queue.empty() || room.bytes[lane] == 0) continue;
      session::Message message;
      message.lane = static_cast<session::Lane>(lane);
      message.body = std::move(queue.front());
      if (message.lane == session::Lane::kLive) message.key = live_key_;
      queue.pop_front();
      queued_bytes_ -= message.body.size();
      return Output(std::move(message));
    }
    return std::nullopt;
  }
  std::size_t queued_bytes() const { return queued_bytes_; }
  std::size_t tasks() const { return tasks_.size(); }
  bool empty() const { return queued_bytes_ == 0 && tasks_.empty(); }
  void clear() { *this = Post(); }

 private:
  std::array<std::deque<Slice>, session::kLaneCount> lanes_;
  std::deque<Task> tasks_;
  std::size_t queued_bytes_ = 0;
  std::uint64_t live_key_ = 0;
};

}  // namespace longhaul::transfer
