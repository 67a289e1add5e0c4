// Loader: a thread that reads the samples of coming steps, widens their tokens and lays them into a
// ring of batches, so that the training thread touches no file and no mapping. Rank r of W gets its
// slice of each global batch; the global batch is the same for any W.
//
//   auto batch = loader.take();      // blocks only if the ring is empty; book it as data
//   .. train on batch ..             // valid until the next take()
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "trainer/arrival_order.hpp"
#include "trainer/lookahead.hpp"

namespace longhaul::trainer {

struct LoaderOptions {
  std::uint64_t global_batch = 8;  // samples a step, over all ranks
  std::uint64_t rank = 0, ranks = 1;
  std::uint64_t vocab = 256;  // ids at or over it are an error
  std::uint64_t first_index = 0;
  std::size_t ring = 16;  // batches ahead
  std::uint64_t prefetch_seconds =
      600;                        // at the pace of training: named to the source ahead of need
  std::uint64_t token_bytes = 2;  // on the disk
  std::optional<ArrivalOrder> arrival{};  // of an order of that kind
};
struct LoadedBatch {
  std::uint64_t first_index = 0;              // global index of the step's first sample
  std::vector<std::int64_t> tokens, targets;  // [samples of this rank, sequence]
};

class Loader {
 public:
  // Owns the source from now on; starts its thread.
  Loader(std::unique_ptr<DataSource> source, SampleOrder order, std::uint64_t sequence,
         const LoaderOptions& options);
  ~Loader();  // stops and joins it
  Loader(const Loader&) = delete;
  Loader& operator=(const Loader&) = delete;

  // The next step's batch, or the error the thread ended with; valid until the next take().
  Result<const LoadedBatch*> take();
  Result<const LoadedBatch*> take(Duration most);  // null: none came in that time
  // What is missing, when take() would block for data that has not arrived: "chunk .. since 12 s"
  // is the caller's to print. Any thread.
  std::optional<std::string> waiting_for() const;
  std::size_t ready() const;                   // batches in the ring; any thread
  std::optional<std::uint64_t> reach() const;  // Lookahead's; any thread

 private:
  void run();
  Result<> know(std::uint64_t index);  // waits until the order does
  Result<> fill(LoadedBatch& batch, std::uint64_t index);
  void name_window_of(std::uint64_t number);
  Result<> read_sample(const TokenRange& range, std::span<Token> out);

  std::unique_ptr<DataSource> source_;  // the thread's
  SampleOrder order_;                   // the thread's
  Lookahead lookahead_;                 // the thread's
  std::uint64_t sequence_;
  LoaderOptions options_;
  std::vector<LoadedBatch> slots_;

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::size_t filled_ = 0, taken_ = 0;  // counted from the start; slot = count % ring
  bool stopping_ = false;
  std::optional<Error> error_;
  std::optional<std::string> waiting_;
  std::optional<std::uint64_t> reach_;
  std::thread thread_;  // last: it uses all of the above
};

}  // namespace longhaul::trainer
