#include "trainer/engine/memory_rate.hpp"

#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <chrono>

namespace longhaul::trainer {
namespace {

// The best of some, seconds.
template <class Work>
double best_of(int times, Work&& work) {
  double best = 1e9;
  for (int i = 0; i < times; ++i) {
    const auto began = std::chrono::steady_clock::now();
    work();
    best = std::min(
        best, std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count());
  }
  return best;
}

}  // namespace

MemoryRate host_memory_rate() {
  constexpr int kTimes = 5;
  const at::Tensor from = at::ones({64 << 20}, at::kFloat), other = at::ones_like(from);
  at::Tensor to = at::zeros_like(from);
  const auto size = static_cast<double>(from.nbytes());
  const double summed =
      size / best_of(kTimes, [&] { static_cast<void>(from.sum().item<float>()); });
  const double triad = 3 * size / best_of(kTimes, [&] { at::add_out(to, from, other, 3); });
  if (triad >= summed) return {triad, "STREAM's triad of 256 MiB each"};
  return {summed, "a sum of 256 MiB"};
}

MemoryRate device_memory_rate(const Device& device) {
  const at::NoGradGuard no_grad;
  const bool on_cpu = device.place().is_cpu();
  const std::int64_t floats = on_cpu ? 64 << 20 : 256 << 20;
  const at::Tensor from = at::ones({floats}, at::TensorOptions(at::kFloat).device(device.place()));
  at::Tensor to = at::zeros_like(from), sum = at::zeros({}, from.options());
  const auto rate = [&](double bytes, const auto& work) {
    work();  // what is made once is made
    device.wait();
    constexpr int kTimes = 5, kEach = 4;  // of a GPU: far longer than asking for them takes
    return kEach * bytes / best_of(kTimes, [&] {
             for (int i = 0; i < kEach; ++i) work();
             device.wait();
           });
  };
  const auto size = static_cast<double>(from.nbytes());
  const double copied = rate(2 * size, [&] { to.copy_(from, /*non_blocking=*/true); });
  const double summed = rate(size, [&] { at::sum_out(sum, from, at::IntArrayRef{0}); });
  if (copied >= summed) return {copied, on_cpu ? "a copy of 256 MiB" : "a copy of 1 GiB"};
  return {summed, on_cpu ? "a sum of 256 MiB" : "a sum of 1 GiB"};
}

}  // namespace longhaul::trainer
