#include "trainer/engine/replay.hpp"

#ifdef LONGHAUL_HAS_CUDA_TORCH
#include <ATen/cuda/CUDAContext.h>
#include <ATen/cuda/CUDAGraph.h>
#include <c10/cuda/CUDAGuard.h>
#endif

namespace longhaul::trainer {

Replay::Replay(const Device& device, bool records)
    : device_(device), records_(records && !device.place().is_cpu()) {}
Replay::~Replay() = default;

#ifdef LONGHAUL_HAS_CUDA_TORCH

struct Replay::Recording {
  at::cuda::CUDAGraph graph;
};

void Replay::go(const std::function<void()>& launches) {
  if (!records_) return launches();
  if (!recording_) {
    device_.wait();  // what they read was asked for on another stream than theirs
    auto recording = std::make_unique<Recording>();
    // Not on the default stream, which takes no recording.
    const auto stream =
        at::cuda::getStreamFromPool(/*isHighPriority=*/false, device_.place().index());
    const c10::cuda::CUDAStreamGuard there(stream);
    launches();  // makes the libraries' handles and workspaces, which a recording may not
    stream.synchronize();
    recording->graph.capture_begin();
    launches();
    recording->graph.capture_end();
    recording_ = std::move(recording);
  }
  recording_->graph.replay();  // on the current stream
}

#else

struct Replay::Recording {};

void Replay::go(const std::function<void()>& launches) {
  launches();
}

#endif

}  // namespace longhaul::trainer
