// NCCL by its raw API, on one GPU a rank: the communicator is non-blocking, its errors are polled,
// and what goes wrong ends in an abort and an Error, never in a hang. It has been compiled and
// linked against NCCL 2.22; it has never run: no machine with two GPUs was at hand.
#include "trainer/ranks/nccl_collectives.hpp"

#ifdef LONGHAUL_HAS_NCCL
#include <cuda_runtime_api.h>
#include <nccl.h>
#include <poll.h>

#include <chrono>
#include <cstring>

namespace longhaul::trainer {
namespace {

using Clock = std::chrono::steady_clock;

tl::unexpected<Error> broken(const char* why, Kind kind = Kind::kLink) {
  return fail(kind, "sum over the ranks by NCCL", why);
}
Result<> of_cuda(cudaError_t code) {
  if (code == cudaSuccess) return {};
  return broken(cudaGetErrorString(code), Kind::kIo);
}

class NcclCollectives final : public Collectives {
 public:
  explicit NcclCollectives(Duration patience) : patience_(patience) {}
  ~NcclCollectives() override {
    if (comm_ != nullptr) ::ncclCommAbort(comm_);  // destroy would wait for ranks that may be gone
    if (stream_ != nullptr) ::cudaStreamDestroy(stream_);
    if (staged_ != nullptr) ::cudaFree(staged_);
  }

  Result<> open(const Membership& membership) {
    device_ = static_cast<int>(membership.gpu);
    TRY(of_cuda(::cudaSetDevice(device_)));
    TRY(of_cuda(::cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking)));
    TRY(of_cuda(::cudaMalloc(&staged_, kStagedBytes)));
    ncclUniqueId id{};
    if (membership.rank == 0 && ::ncclGetUniqueId(&id) != ncclSuccess)
      return broken("it has no network");
    const std::vector<std::string> all =
        TRY(membership.exchange(std::string(id.internal, sizeof id.internal)));
    if (all[0].size() != sizeof id.internal) return broken("rank 0 has sent no id");
    std::memcpy(id.internal, all[0].data(), sizeof id.internal);
    ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
    config.blocking = 0;
    const ncclResult_t began = ::ncclCommInitRankConfig(
        &comm_, static_cast<int>(membership.ranks), id, static_cast<int>(membership.rank), &config);
    return settled(began);
  }

  Result<> sum(std::span<float> values) override {
    TRY(of_cuda(::cudaSetDevice(device_)));  // it may be another thread's call than the last one
    TRY(settled(::ncclAllReduce(values.data(), values.data(), values.size(), ncclFloat32, ncclSum,
                                comm_, stream_)));
    return finished();
  }

  Result<> sum(std::span<double> values) override {  // few, and in the host's memory
    ASSERT(values.size_bytes() <= kStagedBytes);
    TRY(of_cuda(::cudaSetDevice(device_)));
    TRY(of_cuda(::cudaMemcpyAsync(staged_, values.data(), values.size_bytes(),
                                  cudaMemcpyHostToDevice, stream_)));
    TRY(settled(
        ::ncclAllReduce(staged_, staged_, values.size(), ncclFloat64, ncclSum, comm_, stream_)));
    TRY(of_cuda(::cudaMemcpyAsync(values.data(), staged_, values.size_bytes(),
                                  cudaMemcpyDeviceToHost, stream_)));
    return finished();
  }

  Result<> gather(std::span<float> all, std::span<const std::size_t> counts) override {
    TRY(settled(::ncclGroupStart()));
    float* at = all.data();
    for (std::size_t rank = 0; rank < counts.size(); at += counts[rank++])
      if (counts[rank] > 0)
        TRY(settled(::ncclBroadcast(at, at, counts[rank], ncclFloat32, static_cast<int>(rank),
                                    comm_, stream_)));
    TRY(settled(::ncclGroupEnd()));
    return finished();
  }

 private:
  static constexpr std::size_t kStagedBytes = 1U << 16;

  // Until a call that has only begun is done: it may connect to others.
  Result<> settled(ncclResult_t code) {
    const auto until = Clock::now() + patience_;
    while (code == ncclInProgress) {
      if (Clock::now() > until) return abort("it does not answer", Kind::kTimeout);
      ::poll(nullptr, 0, 1);
      if (comm_ == nullptr) return broken("no communicator");
      if (::ncclCommGetAsyncError(comm_, &code) != ncclSuccess) code = ncclInternalError;
    }
    if (code == ncclSuccess) return {};
    return abort(::ncclGetErrorString(code), Kind::kLink);
  }

  // Until the stream has done what was asked of it, or a rank is gone.
  Result<> finished() {
    const auto until = Clock::now() + patience_;
    for (;;) {
      const cudaError_t done = ::cudaStreamQuery(stream_);
      if (done == cudaSuccess) return {};
      if (done != cudaErrorNotReady) return of_cuda(done);
      ncclResult_t code = ncclSuccess;
      if (::ncclCommGetAsyncError(comm_, &code) != ncclSuccess) code = ncclInternalError;
      if (code != ncclSuccess && code != ncclInProgress)
        return abort(::ncclGetErrorString(code), Kind::kLink);
      if (Clock::now() > until) return abort("a rank does not come", Kind::kTimeout);
    }
  }

  Result<> abort(const char* why, Kind kind) {
    if (comm_ != nullptr) ::ncclCommAbort(comm_);
    comm_ = nullptr;
    return broken(why, kind);
  }

  Duration patience_;
  int device_ = 0;
  ncclComm_t comm_ = nullptr;
  cudaStream_t stream_ = nullptr;
  void* staged_ = nullptr;
};

}  // namespace

Result<std::unique_ptr<Collectives>> nccl_collectives(const Membership& membership) {
  auto made = std::make_unique<NcclCollectives>(membership.patience);
  TRY(made->open(membership));
  return std::unique_ptr<Collectives>(std::move(made));
}

}  // namespace longhaul::trainer
#else
namespace longhaul::trainer {

Result<std::unique_ptr<Collectives>> nccl_collectives(const Membership&) {
  return fail(Error(Kind::kUnsupported, "sum over the ranks by NCCL", "this build has no NCCL")
                  .advise("build with the CUDA toolkit and NCCL where CMake finds them"));
}

}  // namespace longhaul::trainer
#endif
