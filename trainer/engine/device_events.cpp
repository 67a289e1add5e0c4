#include "trainer/engine/device_events.hpp"

#include <utility>

#include "lib/base/assert.hpp"

#ifdef LONGHAUL_HAS_CUDA_TORCH
#include <ATen/cuda/CUDAContext.h>
#include <ATen/cuda/CUDAEvent.h>
#include <c10/cuda/CUDAGuard.h>
#endif

namespace longhaul::trainer {

#ifdef LONGHAUL_HAS_CUDA_TORCH
namespace {

at::cuda::CUDAStream stream_of(const at::Device& place) {
  return at::cuda::getCurrentCUDAStream(place.index());
}

}  // namespace

struct HostCopy::Events {
  explicit Events(const at::Device& of)
      : place(of), side(at::cuda::getStreamFromPool(/*isHighPriority=*/false, of.index())) {}
  at::Device place;
  at::cuda::CUDAStream side;
  at::cuda::CUDAEvent asked, made;
};
struct DeviceClock::Marks {
  at::cuda::CUDAEvent edges[2] = {at::cuda::CUDAEvent(cudaEventDefault),
                                  at::cuda::CUDAEvent(cudaEventDefault)};
};
#else
struct HostCopy::Events {};
struct DeviceClock::Marks {};
#endif

HostCopy::HostCopy(const Device& device, std::vector<at::Tensor> originals)
    : originals_(std::move(originals)) {
  const bool on_gpu = !device.place().is_cpu();
  for (const at::Tensor& original : originals_) {
    ASSERT(original.is_contiguous());
    copies_.push_back(at::zeros(original.sizes(),
                                at::TensorOptions(original.scalar_type()).pinned_memory(on_gpu)));
  }
#ifdef LONGHAUL_HAS_CUDA_TORCH
  if (on_gpu) events_ = std::make_unique<Events>(device.place());
#endif
}
HostCopy::~HostCopy() {
  wait();  // pinned memory is not given back under a copy
}

void HostCopy::begin() {
#ifdef LONGHAUL_HAS_CUDA_TORCH
  if (events_) {
    events_->asked.record(stream_of(events_->place));
    events_->asked.block(events_->side);
    const c10::cuda::CUDAStreamGuard beside(events_->side);
    for (std::size_t i = 0; i < copies_.size(); ++i)
      copies_[i].copy_(originals_[i], /*non_blocking=*/true);
    return events_->made.record(events_->side);
  }
#endif
  for (std::size_t i = 0; i < copies_.size(); ++i) copies_[i].copy_(originals_[i]);
}

// Both return at once where nothing was begun.
void HostCopy::hold_back() const {
#ifdef LONGHAUL_HAS_CUDA_TORCH
  if (events_) events_->made.block(stream_of(events_->place));
#endif
}
void HostCopy::wait() const {
#ifdef LONGHAUL_HAS_CUDA_TORCH
  if (events_) events_->made.synchronize();
#endif
}

DeviceClock::DeviceClock(const Device& device) : device_(device) {
#ifdef LONGHAUL_HAS_CUDA_TORCH
  if (!device_.place().is_cpu())
    for (Step& step : steps_) step.marks = std::make_unique<Marks>();
#endif
}
DeviceClock::~DeviceClock() = default;

void DeviceClock::mark(Step& step, Edge edge) const {
  step.times[edge] = std::chrono::steady_clock::now();
#ifdef LONGHAUL_HAS_CUDA_TORCH
  if (step.marks) step.marks->edges[edge].record(stream_of(device_.place()));
#endif
}

void DeviceClock::begin() {
  ASSERT(begun_ - taken_ < steps_.size() - 1);
  Step& step = steps_[begun_++ % steps_.size()];
  step.follows = std::exchange(follows_, true);
  mark(step, kBegan);
}

void DeviceClock::end() {
  mark(steps_[(begun_ - 1) % steps_.size()], kEnded);
}

void DeviceClock::interrupt() {
  follows_ = false;
}

// From one end of a step to an end of another, or the same.
double DeviceClock::seconds(const Step& from, Edge left, const Step& to, Edge right) {
#ifdef LONGHAUL_HAS_CUDA_TORCH
  if (from.marks) return 1e-3 * from.marks->edges[left].elapsed_time(to.marks->edges[right]);
#endif
  return std::chrono::duration<double>(to.times[right] - from.times[left]).count();
}

DeviceClock::Spent DeviceClock::take() {
  ASSERT(taken_ < begun_);
  const Step& step = steps_[taken_ % steps_.size()];
  const Step& before = steps_[(taken_ + steps_.size() - 1) % steps_.size()];
  ++taken_;
  return {seconds(step, kBegan, step, kEnded),
          step.follows ? seconds(before, kEnded, step, kBegan) : 0};
}

}  // namespace longhaul::trainer
