// Device: where a model's tensors lie and who does their element-wise work: a GPU, by the launches
// of trainer/cuda on LibTorch's current stream, or the CPU by the same bodies, on one thread. The
// latter is slow, and how all that runs on a GPU is tested where there is none. A value; the
// training thread.
#pragma once

#include <ATen/ATen.h>

#include <array>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "lib/base/result.hpp"
#include "trainer/cuda/work.hpp"

namespace longhaul::trainer {

class Device {
 public:
  Device() = default;  // the CPU
  // "cpu", "cuda" or "cuda:N". kUnsupported: this build or this machine has none such.
  static Result<Device> open(std::string_view name);

  at::Device place() const { return place_; }
  const std::string& name() const { return name_; }
  // Launches run in the order in which they are asked for; on a GPU go() only asks.
  template <class Work>
  void go(const Work& work) const {
    if (place_.is_cpu()) return cuda::run_on_host(work);
#ifdef LONGHAUL_HAS_CUDA_TORCH
    run(stream(), work);
#endif
  }
  void wait() const;  // until all that was asked for is done
  // Calls mark something asked for: what one returns waits, on any thread, until all up to there is
  // done. None on the CPU, where it is.
  std::function<std::function<void()>()> mark() const;
  double free_bytes() const;  // of the GPU's memory; 0: not known, as of the CPU
  double peak_bytes() const;  // of tensors on the GPU, so far; 0 on the CPU

 private:
  cuda::Stream stream() const;
  at::Device place_ = at::kCPU;
  std::string name_ = "cpu";
};

// Batches on their way to a GPU: two buffers of pinned memory, taken in turn, so that one is filled
// while the GPU still fetches the other; who comes back to a buffer waits until it has been
// fetched. On the CPU a copy.
class BatchRing {
 public:
  explicit BatchRing(const Device& device);
  ~BatchRing();
  BatchRing(const BatchRing&) = delete;
  BatchRing& operator=(const BatchRing&) = delete;
  // tokens and targets [2, count] int64 on the device.
  at::Tensor send(const std::int64_t* tokens, const std::int64_t* targets, std::int64_t count);

 private:
  struct Slot;
  const Device& device_;
  std::array<std::unique_ptr<Slot>, 2> slots_;
  std::size_t next_ = 0;
};

}  // namespace longhaul::trainer
