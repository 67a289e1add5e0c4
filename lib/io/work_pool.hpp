// WorkPool: the only threads but main's. It runs the Work of Jobs; each class of job has threads of
// its own, so that a slow fsync holds up neither hashing nor reading. Posted work owns all it
// touches. The destructor lets running jobs end and drops the queued ones. The queue is bounded by
// those who post: a core has a bounded number of jobs out.
#pragma once

#include <array>
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "lib/base/job.hpp"

namespace longhaul::io {

class WorkPool {
 public:
  struct Threads {
    unsigned compute = 2;  // few jobs are of this kind
    unsigned disk = 4;     // enough to keep a disk's queue filled
    unsigned sync = 2;
    unsigned encode = 0;  // 0: one per core; 10 nicer than the others
  };
  using Done = std::function<void(Job)>;  // called on the pool's thread

  // Makes do with fewer threads, down to one for each class, where the system refuses them; throws
  // std::system_error where it refuses even those.
  explicit WorkPool(Threads threads);
  ~WorkPool();
  WorkPool(const WorkPool&) = delete;
  WorkPool& operator=(const WorkPool&) = delete;
  void post(Job job, Done done);

 private:
  struct Item {
    Job job;
    Done done;
  };
  struct Queue {
    std::mutex mutex;
    std::condition_variable some;
    std::deque<Item> items;
    bool stopped = false;
  };
  static void serve(Queue& queue);
  bool start(Queue& queue, bool gives_way);
  void end();
  std::array<Queue, 4> queues_;  // by JobClass
  std::vector<std::thread> threads_;
};

}  // namespace longhaul::io
