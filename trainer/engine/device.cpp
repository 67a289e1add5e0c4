// One of the three places where LibTorch's CUDA is asked for anything but tensors: devices, streams
// and memory here, events in device_events.cpp, graphs in replay.cpp. Without it they are stubs.
#include "trainer/engine/device.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

#include "lib/base/escape.hpp"
#include "trainer/cuda/gpu.hpp"

#ifdef LONGHAUL_HAS_CUDA_TORCH
#include <ATen/cuda/CUDAContext.h>
#include <ATen/cuda/CUDAEvent.h>
#include <c10/cuda/CUDACachingAllocator.h>
#endif

namespace longhaul::trainer {
namespace {

constexpr int kMostGpus = 64;  // of a host

// The number behind "cuda:", 0 of "cuda"; < 0: neither.
int index_of(std::string_view name) {
  if (name == "cuda") return 0;
  if (!name.starts_with("cuda:")) return -1;
  const std::string_view digits = name.substr(5);
  int index = -1;
  const auto read = std::from_chars(digits.data(), digits.data() + digits.size(), index);
  const bool whole = read.ec == std::errc() && read.ptr == digits.data() + digits.size();
  return whole && index < kMostGpus ? index : -1;
}

}  // namespace

Result<Device> Device::open(std::string_view name) {
  Device out;
  if (name == "cpu") return out;
  const int index = index_of(name);
  if (index < 0)
    return fail(Kind::kUsage, "compute on \"" + printable(name, 32) + "\"",
                "a device is cpu, cuda or cuda:N");
  std::string why;
  const auto gpu = cuda::find_gpu(index, why);
  if (!gpu)
    return fail(Error(Kind::kUnsupported, "compute on " + printable(name, 32), why)
                    .advise("see what nvidia-smi says; --device cpu needs no GPU"));
#ifdef LONGHAUL_HAS_CUDA_TORCH
  out.place_ = at::Device(at::kCUDA, static_cast<c10::DeviceIndex>(index));
  out.name_ = gpu->name;
  c10::cuda::set_device(static_cast<c10::DeviceIndex>(index));
  return out;
#else
  return fail(Error(Kind::kUnsupported, "compute on " + printable(name, 32),
                    "this build's LibTorch has no CUDA")
                  .advise("build with a CUDA LibTorch: -DLONGHAUL_TORCH_ROOT"));
#endif
}

double Device::free_bytes() const {
  return place_.is_cpu() ? 0 : cuda::free_bytes(place_.index());
}

#ifdef LONGHAUL_HAS_CUDA_TORCH

cuda::Stream Device::stream() const {
  return at::cuda::getCurrentCUDAStream(place_.index()).stream();
}

void Device::wait() const {
  if (!place_.is_cpu()) at::cuda::getCurrentCUDAStream(place_.index()).synchronize();
}

std::function<std::function<void()>()> Device::mark() const {
  if (place_.is_cpu()) return {};
  return [place = place_] {
    auto event = std::make_shared<at::cuda::CUDAEvent>();
    event->record(at::cuda::getCurrentCUDAStream(place.index()));
    return [event] { event->synchronize(); };
  };
}

double Device::peak_bytes() const {
  if (place_.is_cpu()) return 0;
  const auto statistics = c10::cuda::CUDACachingAllocator::getDeviceStats(place_.index());
  return static_cast<double>(statistics.allocated_bytes[0].peak);  // of all pools
}

struct BatchRing::Slot {
  at::Tensor pinned;
  at::cuda::CUDAEvent fetched;
};

at::Tensor BatchRing::send(const std::int64_t* tokens, const std::int64_t* targets,
                           std::int64_t count) {
  Slot& slot = *slots_[std::exchange(next_, (next_ + 1) % slots_.size())];
  const bool on_gpu = !device_.place().is_cpu();
  if (on_gpu) slot.fetched.synchronize();  // returns at once if it was never recorded
  if (!slot.pinned.defined() || slot.pinned.size(1) != count)
    slot.pinned = at::empty({2, count}, at::TensorOptions(at::kLong).pinned_memory(on_gpu));
  std::copy_n(tokens, count, slot.pinned.data_ptr<std::int64_t>());
  std::copy_n(targets, count, slot.pinned.data_ptr<std::int64_t>() + count);
  if (!on_gpu) return slot.pinned.clone();
  const at::Tensor out = slot.pinned.to(device_.place(), /*non_blocking=*/true);
  slot.fetched.record(at::cuda::getCurrentCUDAStream(device_.place().index()));
  return out;
}

#else

cuda::Stream Device::stream() const {
  return nullptr;
}
void Device::wait() const {}
std::function<std::function<void()>()> Device::mark() const {
  return {};
}
double Device::peak_bytes() const {
  return 0;
}

struct BatchRing::Slot {};

at::Tensor BatchRing::send(const std::int64_t* tokens, const std::int64_t* targets,
                           std::int64_t count) {
  at::Tensor out = at::empty({2, count}, at::kLong);
  std::copy_n(tokens, count, out.data_ptr<std::int64_t>());
  std::copy_n(targets, count, out.data_ptr<std::int64_t>() + count);
  return out;
}

#endif

BatchRing::BatchRing(const Device& device) : device_(device) {
  for (auto& slot : slots_) slot = std::make_unique<Slot>();
}
BatchRing::~BatchRing() = default;

}  // namespace longhaul::trainer
