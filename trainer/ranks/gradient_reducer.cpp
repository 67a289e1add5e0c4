#include "trainer/ranks/gradient_reducer.hpp"

#include <algorithm>

namespace longhaul::trainer {

GradientReducer::GradientReducer(Collectives& collectives, std::span<float> gradient,
                                 std::int64_t bucket_floats, Mark mark)
    : collectives_(collectives),
      gradient_(gradient),
      bucket_floats_(mark ? 1 : bucket_floats),
      mark_(std::move(mark)),
      thread_([this] { run(); }) {}

GradientReducer::~GradientReducer() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    waiting_.clear();
  }
  changed_.notify_all();
  thread_.join();  // a sum that has begun ends, with an error when a rank is gone
}

void GradientReducer::ready(std::int64_t offset, std::int64_t count) {
  ASSERT(offset >= 0 && count > 0 && offset + count <= static_cast<std::int64_t>(gradient_.size()));
  open_.emplace_back(offset, count);
  open_floats_ += count;
  named_ += count;
  if (open_floats_ >= bucket_floats_) hand_over();
}

void GradientReducer::hand_over() {
  Wait wait = mark_ ? mark_() : Wait();
  {
    const std::lock_guard lock(mutex_);
    waiting_.push_back({std::exchange(open_, {}), std::move(wait)});
  }
  open_floats_ = 0;
  changed_.notify_all();
}

Result<> GradientReducer::finish(std::span<double> numbers) {
  ASSERT(std::exchange(named_, 0) == static_cast<std::int64_t>(gradient_.size()));
  if (!open_.empty()) hand_over();
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return (waiting_.empty() && !busy_) || !done_; });
  if (!done_) return done_;
  lock.unlock();
  return collectives_.sum(numbers);
}

Result<> GradientReducer::sum(const Bucket& bucket) {
  if (bucket.wait) bucket.wait();
  if (bucket.ranges.size() == 1)
    return collectives_.sum(gradient_.subspan(static_cast<std::size_t>(bucket.ranges[0].first),
                                              static_cast<std::size_t>(bucket.ranges[0].second)));
  staged_.clear();
  for (const auto& [offset, count] : bucket.ranges)
    staged_.insert(staged_.end(), gradient_.begin() + offset, gradient_.begin() + offset + count);
  TRY(collectives_.sum(std::span(staged_)));
  auto from = staged_.begin();
  for (const auto& [offset, count] : bucket.ranges) {
    std::copy_n(from, count, gradient_.begin() + offset);
    from += count;
  }
  return {};
}

void GradientReducer::run() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return stopping_ || !waiting_.empty(); });
    if (stopping_) return;
    const Bucket bucket = std::move(waiting_.front());
    waiting_.pop_front();
    busy_ = true;
    lock.unlock();
    Result<> summed = sum(bucket);
    lock.lock();
    busy_ = false;
    if (!summed) {
      done_ = std::move(summed);
      waiting_.clear();
    }
    changed_.notify_all();
    if (!done_) return;
  }
}

}  // namespace longhaul::trainer
