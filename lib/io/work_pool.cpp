#include "lib/io/work_pool.hpp"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <numeric>
#include <system_error>
#include <utility>

#include "lib/io/own_limits.hpp"

namespace longhaul::io {
namespace {
constexpr std::chrono::seconds kLongJob{1};
// Of those who encode, below the rest of the process and the machine: where all are busy, a tenth
// of a core each beside one that is not. A laptop answers while it compresses; whoever sends and
// answers, and the hashing that a waiting trainer needs, come first. Where cores idle it costs
// nothing.
constexpr int kNiceSteps = 10;

// Linux has a priority for each thread. Refused: no harm.
void give_way() {
  const auto self = static_cast<id_t>(::gettid());
  errno = 0;
  const int nice = ::getpriority(PRIO_PROCESS, self);
  if (errno == 0) ::setpriority(PRIO_PROCESS, self, std::min(nice + kNiceSteps, 19));
}
}  // namespace

WorkPool::WorkPool(Threads threads) {
  const unsigned cores = std::max(1U, std::thread::hardware_concurrency());
  const std::array<unsigned, 4> counts{std::max(1U, threads.compute), std::max(1U, threads.disk),
                                       std::max(1U, threads.sync),
                                       threads.encode > 0 ? threads.encode : cores};
  threads_.reserve(std::accumulate(counts.begin(), counts.end(), std::size_t{0}));
  // One for each class first: with these the pool does all its work, and what the system refuses
  // after them only makes it slower.
  const unsigned most = *std::max_element(counts.begin(), counts.end());
  for (unsigned n = 0; n < most; ++n) {
    for (std::size_t i = 0; i < counts.size(); ++i) {
      const bool gives_way = i == static_cast<std::size_t>(JobClass::kEncode);
      if (n < counts[i] && !start(queues_[i], gives_way)) return;
    }
  }
}

bool WorkPool::start(Queue& queue, bool gives_way) {
  try {
    threads_.emplace_back([&queue, gives_way] {
      if (gives_way) give_way();
      serve(queue);
    });
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
