// GradientReducer: sums a flat gradient over the ranks while the backward pass that makes it goes
// on. The pass names ranges as they become final; neighbours in time are put together into buckets
// of about kBucketFloats, and a thread of its own sums bucket after bucket, in the order in which
// they were named, which is the same at every rank.
//
// A gradient on a GPU lies in the GPU's memory, and what is named is final only once the GPU has
// done what it was asked for so far: `mark` is called as a bucket is named, and what it returns by
// the summing thread before that bucket's sum.
//
//   reducer.ready(offset, count);    // nobody writes there any more
//   ..
//   TRY(reducer.finish(numbers));    // all of it is summed, and the numbers (the loss, say) too
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "trainer/ranks/collectives.hpp"

namespace longhaul::trainer {

inline constexpr std::int64_t kBucketFloats = 1 << 20;  // 4 MiB: 1 ms of a 40 Gbit/s network

class GradientReducer {
 public:
  using Wait = std::function<void()>;
  using Mark = std::function<Wait()>;
  // `gradient` and `collectives` outlive it; the latter is its thread's from ready() to finish().
  // With a `mark` each range is a bucket: nothing is gathered, which the host could not do.
  GradientReducer(Collectives& collectives, std::span<float> gradient,
                  std::int64_t bucket_floats = kBucketFloats, Mark mark = {});
  ~GradientReducer();
  GradientReducer(const GradientReducer&) = delete;
  GradientReducer& operator=(const GradientReducer&) = delete;

  void ready(std::int64_t offset, std::int64_t count);
  // Blocks until all buckets are summed; then sums `numbers`. Every value must have been named
  // once. After an error the gradient is worth nothing.
  Result<> finish(std::span<double> numbers);

 private:
  using Range = std::pair<std::int64_t, std::int64_t>;  // offset, count
  struct Bucket {
    std::vector<Range> ranges;
    Wait wait;  // none: they are final
  };
  void hand_over();
  void run();
  Result<> sum(const Bucket& bucket);

  Collectives& collectives_;
  std::span<float> gradient_;
  std::int64_t bucket_floats_;
  Mark mark_;
  std::vector<Range> open_;
  std::int64_t open_floats_ = 0, named_ = 0;
  std::vector<float> staged_;  // the thread's: a bucket of several ranges

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Bucket> waiting_;  // at most as many as a pass names ranges
  bool busy_ = false, stopping_ = false;
  Result<> done_;
  std::thread thread_;  // last: it uses all of the above
};

}  // namespace longhaul::trainer
