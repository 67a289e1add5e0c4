// Bench of trainer/cuda's works on a GPU: the median time of a launch by the GPU's own events, the
// bytes that its equation must read and write, and the rate of these beside that of a copy within
// the card's memory. One JSON line a work. Shapes are those of llama-1.4b with 16,384 tokens.
#include <cuda_runtime_api.h>

#include <algorithm>
#include <cstdio>
#include <memory>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <vector>

#include "trainer/cuda/layers.hpp"
#include "trainer/cuda/loss.hpp"
#include "trainer/cuda/matrices.hpp"
#include "trainer/cuda/norm.hpp"

namespace {

using namespace longhaul::trainer;
using namespace longhaul::trainer::cuda;

constexpr int kWarmup = 3, kRepetitions = 21;
constexpr std::int64_t kRows = 16384, kHidden = 2048, kWide = 5464, kVocab = 50304, kHeads = 32;
constexpr std::int64_t kHeadRows = 2048;                          // logits of a chunk
constexpr std::int64_t kParameters = 24 * 4 * kHidden * kHidden;  // q, k, v, o of all layers

void must(cudaError_t code) {
  if (code != cudaSuccess) throw std::runtime_error(cudaGetErrorString(code));
}

class Memory {  // of the GPU, zeros, given back at the end
 public:
  Memory() = default;
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;
  ~Memory() {
    for (void* at : held_) static_cast<void>(cudaFree(at));
  }
  template <class T>
  T* of(std::int64_t count) {
    void* at = nullptr;
    must(cudaMalloc(&at, static_cast<std::size_t>(count) * sizeof(T)));
    held_.push_back(at);
    must(cudaMemset(at, 0, static_cast<std::size_t>(count) * sizeof(T)));
    return static_cast<T*>(at);
  }

 private:
  std::vector<void*> held_;
};

template <class Launch>
double median_seconds(Launch&& launch) {
  cudaEvent_t began = nullptr, ended = nullptr;
  must(cudaEventCreate(&began));
  must(cudaEventCreate(&ended));
  std::vector<float> times;
  for (int i = 0; i < kWarmup + kRepetitions; ++i) {
    must(cudaEventRecord(began, nullptr));
    launch();
    must(cudaEventRecord(ended, nullptr));
    must(cudaEventSynchronize(ended));
    float milliseconds = 0;
    must(cudaEventElapsedTime(&milliseconds, began, ended));
    if (i >= kWarmup) times.push_back(milliseconds);
  }
  must(cudaEventDestroy(began));
  must(cudaEventDestroy(ended));
  std::sort(times.begin(), times.end());
  return static_cast<double>(times[times.size() / 2]) / 1e3;
}

class Bench {
 public:
  Bench() {
    int device = 0;
    must(cudaGetDevice(&device));
    cudaDeviceProp properties{};
    must(cudaGetDeviceProperties(&properties, device));
    gpu_ = properties.name;
    constexpr std::int64_t kBytes = 1 << 30;
    Memory memory;
    auto* from = memory.of<char>(kBytes);
    auto* to = memory.of<char>(kBytes);
    const double seconds = median_seconds(
        [&] { must(cudaMemcpyAsync(to, from, kBytes, cudaMemcpyDeviceToDevice, nullptr)); });
    copy_ = 2 * static_cast<double>(kBytes) / seconds / 1e9;
    std::printf(
        "{\"bench\":\"cuda-kernels\",\"cell\":\"copy\",\"gpu\":\"%s\",\"microseconds\":%.1f,"
        "\"gb_per_second\":%.0f}\n",
        gpu_.c_str(), seconds * 1e6, copy_);
    std::fflush(stdout);  // what is measured is kept, whatever becomes of the next one
  }

  template <class Work>
  void time(const char* name, const char* element, const Work& work, std::int64_t bytes) {
    const double seconds = median_seconds([&] { run(nullptr, work); });
    const double rate = static_cast<double>(bytes) / seconds / 1e9;
    std::printf(
        "{\"bench\":\"cuda-kernels\",\"cell\":\"%s %s\",\"gpu\":\"%s\","
        "\"microseconds\":%.1f,\"bytes\":%lld,\"gb_per_second\":%.0f,\"share_of_copy\":%.3f}\n",
        name, element, gpu_.c_str(), seconds * 1e6, static_cast<long long>(bytes), rate,
        rate / copy_);
    std::fflush(stdout);
  }

 private:
  std::string gpu_;
  double copy_ = 0;  // GB/s, read and written
};

template <class T>
void bench_layers(Bench& bench, const char* element) {
  constexpr std::int64_t kSize = sizeof(T), kStream = kRows * kHidden;
  Memory memory;
  T* const x = memory.of<T>(kStream);
  T* const added = memory.of<T>(kStream);
  T* const y = memory.of<T>(kStream);
  float* const gain = memory.of<float>(kHidden);
  float* const rstd = memory.of<float>(kRows);
  float* const parts = memory.of<float>(kGainStrips * kHidden);
  bench.time("rms_norm", element,
             RmsNorm<T>{x, nullptr, nullptr, gain, y, rstd, kRows, kHidden, 1e-5F},
             2 * kStream * kSize);
  bench.time("rms_norm_residual", element,
             RmsNorm<T>{x, added, x, gain, y, rstd, kRows, kHidden, 1e-5F}, 4 * kStream * kSize);
  bench.time("rms_norm_backward", element,
             RmsNormBackward<T>{y, x, gain, rstd, added, parts, kRows, kHidden},
             4 * kStream * kSize);
  T* const qkv = memory.of<T>(3 * kStream);
  float* const table = memory.of<float>(1024 * kHidden / kHeads / 2);
  bench.time("rope", element,
             Rope<T>{qkv, table, table, kRows, 3 * kHidden, 2 * kHeads, kHidden / kHeads, 1024, 1},
             4 * kStream * kSize);
  T* const gate_up = memory.of<T>(kRows * 2 * kWide);
  T* const wide = memory.of<T>(kRows * kWide);
  bench.time("swiglu", element, Swiglu<T>{gate_up, wide, kRows, kWide}, 3 * kRows * kWide * kSize);
  bench.time("swiglu_backward", element, SwigluBackward<T>{wide, gate_up, kRows, kWide},
             5 * kRows * kWide * kSize);
  T* const logits = memory.of<T>(kHeadRows * kVocab);
  bench.time(
      "cross_entropy", element,
      CrossEntropy<T>{logits, memory.of<std::int64_t>(kHeadRows), rstd, kHeadRows, kVocab, 1e-4F},
      3 * kHeadRows * kVocab * kSize);  // read twice, written once
}

template <class T>
void bench_steps(Bench& bench, const char* element) {
  constexpr std::int64_t kSize = sizeof(T), n = kParameters;
  constexpr MatrixSet kSet{24 * 4, kHidden * kHidden, kHidden * kHidden};
  Memory memory;
  float* const w = memory.of<float>(n);
  float* const g = memory.of<float>(n);
  float* const m = memory.of<float>(n);
  float* const v = memory.of<float>(n);
  T* const y = memory.of<T>(n);
  T* const u = memory.of<T>(n);
  float* const parts = memory.of<float>(kSet.pieces());
  bench.time("gradient_sum", element, GradientSum<T>{u, g, n}, n * (8 + kSize));
  bench.time("adamw", element,
             AdamwStep<T>{w, g, m, v, y, n, {1e-3F, 0.9F, 0.95F, 1e-10F, 0.1F, 0.1F, 0.05F}, 1.0F},
             n * (28 + kSize));
  bench.time("muon_direction", element, MuonDirection<T>{g, m, u, parts, kSet, 0.95F, 1.0F, true},
             n * (12 + kSize));
  bench.time("update", element, UpdateStep<T>{w, u, nullptr, nullptr, {y, 0.0F}, kSet, 1.0F, 0.02F},
             n * (8 + 2 * kSize));
  bench.time("update_transported", element,
             UpdateStep<T>{w, u, nullptr, v, {y, 2.0F}, kSet, 1.0F, 0.02F}, n * (12 + 2 * kSize));
}

}  // namespace

int main() {
  try {
    int devices = 0;
    must(cudaGetDeviceCount(&devices));
    if (devices == 0) throw std::runtime_error("there is no GPU");
    Bench bench;
    bench_layers<Bfloat16>(bench, "bf16");
    bench_layers<float>(bench, "fp32");
    bench_steps<Bfloat16>(bench, "bf16");
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "bench_cuda_kernels: %s\n", error.what());
    return 2;
  }
}
