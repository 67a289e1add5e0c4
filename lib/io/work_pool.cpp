#include "lib/io/work_pool.hpp"

#include <algorithm>
#include <chrono>
#include <numeric>
#include <system_error>
#include <utility>

#include "lib/io/own_limits.hpp"

namespace longhaul::io {
namespace {
constexpr std::chrono::seconds kLongJob{1};
}  // namespace

WorkPool::WorkPool(Threads threads) {
  const unsigned cores = std::max(1U, std::thread::hardware_concurrency());
  const std::array<unsigned, 3> counts{threads.compute > 0 ? threads.compute : cores,
                                       std::max(1U, threads.disk), std::max(1U, threads.sync)};
  threads_.reserve(std::accumulate(counts.begin(), counts.end(), std::size_t{0}));
  // One for each class first: with these the pool does all its work, and what the system refuses
  // after them only makes it slower.
  const unsigned most = *std::max_element(counts.begin(), counts.end());
  for (unsigned n = 0; n < most; ++n) {
    for (std::size_t i = 0; i < counts.size(); ++i) {
      if (n < counts[i] && !start(queues_[i])) return;
    }
  }
}

bool WorkPool::start(Queue& queue) {
  try {
    threads_.emplace_back([&queue] { serve(queue); });
    return true;
  } catch (const std::system_error& error) {
    if (threads_.size() >= queues_.size()) return false;
    end();
    throw std::system_error(error.code(), "cannot start a worker thread (see ulimit -u and -v)");
  }
}

WorkPool::~WorkPool() {
  end();
}

void WorkPool::end() {
  for (Queue& queue : queues_) {
    const std::lock_guard lock(queue.mutex);
    queue.stopped = true;
    queue.some.notify_all();
  }
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

void WorkPool::post(Job job, Done done) {
  Queue& queue = queues_.at(static_cast<std::size_t>(job.where));
  const std::lock_guard lock(queue.mutex);
  queue.items.push_back({std::move(job), std::move(done)});
  queue.some.notify_one();
}

void WorkPool::serve(Queue& queue) {
  std::unique_lock lock(queue.mutex);
  for (;;) {
    queue.some.wait(lock, [&] { return queue.stopped || !queue.items.empty(); });
    if (queue.stopped) return;
    Item item = std::move(queue.items.front());
    queue.items.pop_front();
    lock.unlock();
    const auto begun = std::chrono::steady_clock::now();
    item.job.work->run();
    item.done(std::move(item.job));
    // A large tree was published or read: what it was kept in is free by now, here and there.
    if (std::chrono::steady_clock::now() - begun > kLongJob) give_memory_back();
    lock.lock();
  }
}

}  // namespace longhaul::io
