// Job: work that a core hands out like a datagram and gets back when it is done. A Work owns all
// its inputs; run() fills its result and may block, hash, compress, read or fsync. It runs once, on
// any thread, and must not touch the core. The shell runs it on a pool and returns it through
// on_job(now, job); a simulator runs it inline after a seeded delay.
//
//   class HashWork final : public Work { ..; void run() override { digest = sha256(input.bytes());
//   } }; outputs.push_back(Job{ids.next(), JobClass::kCompute, std::make_unique<HashWork>(input)});
//   void on_job(Time now, Job job) { use(job.as<HashWork>().digest); }
#pragma once

#include <memory>

#include "lib/base/assert.hpp"
#include "lib/base/ids.hpp"

namespace longhaul {

class Work {
 public:
  Work() = default;
  virtual ~Work() = default;
  Work(const Work&) = delete;
  Work& operator=(const Work&) = delete;
  virtual void run() = 0;  // errors are part of the result; an exception out of it ends the program
};

using JobId = Id<struct JobTag>;
enum class JobClass : std::uint8_t {
  kCompute,  // bound by a core, and somebody waits for it: the parts of a manifest
  kDisk,     // bound by a device: read, write, rename
  kSync,     // fsync, syncfs: may take seconds, must not hold up reads
  kEncode,   // bound by a core, ahead of a link: gives way to all else on the machine
};

struct Job {
  JobId id;
  JobClass where = JobClass::kCompute;
  std::unique_ptr<Work> work;

  template <class W>
  W& as() const {  // a wrong W is a bug
    W* typed = dynamic_cast<W*>(work.get());
    ASSERT(typed != nullptr);
    return *typed;
  }
  template <class W>
  bool is() const {
    return dynamic_cast<W*>(work.get()) != nullptr;
  }
};

}  // namespace longhaul
