// NCCL by its raw API, on one GPU a rank: the communicator is non-blocking, its errors are polled,
// and what goes wrong ends in an abort and an Error, never in a hang. That is tested without a GPU,
// against a stand-in for the calls made here (tests/trainer/nccl_test.cpp); over two GPUs it has
// never run: no machine with two was at hand.
#include "trainer/ranks/nccl_collectives.hpp"

#ifdef LONGHAUL_HAS_NCCL
#include <cuda_runtime_api.h>
#include <nccl.h>
#include <poll.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <utility>

#include "trainer/ranks/loaded_library.hpp"

namespace longhaul::trainer {
namespace {

using Clock = std::chrono::steady_clock;

// A bucket's sum takes from 50 us to some ms, and a step has tens of them, so one that is short is
// waited for without sleep. Later sleeps are a sixteenth of the wait so far, which is what a sum
// may then end late by, up to a millisecond: a core's few percent while a rank does not come.
constexpr Duration kSpin = 200us, kLongestSleep = 1ms;
constexpr int kSleepsShare = 16;
constexpr Duration kLook = 10ms;  // between looks at who is gone
// A rank that has ended well is gone, too, and what it was the first to finish may be a moment
// behind here: all that it had to send is on its way, or has come.
constexpr Duration kGoneGrace = 300ms;

// One call's waits.
struct Wait {
  explicit Wait(Duration patience) : until(began + patience) {}
  Clock::time_point began = Clock::now(), until, next_look = began;
  std::optional<Clock::time_point> gone_since{};
};

class NcclCollectives final : public Collectives {
 public:
  explicit NcclCollectives(const Membership& membership)
      : device_(static_cast<int>(membership.gpu)),
        patience_(membership.patience),
        gone_(membership.gone) {}
  ~NcclCollectives() override {
    if (stream_ != nullptr) ::cudaSetDevice(device_);  // else it would open another GPU
    if (comm_ != nullptr) ::ncclCommAbort(comm_);  // destroy would wait for ranks that may be gone
    if (stream_ != nullptr) ::cudaStreamDestroy(stream_);
    if (staged_ != nullptr) ::cudaFree(staged_);
  }

  Result<> open(const Membership& membership) {
    TRY(expect_one_nccl(loaded_libraries()));
    TRY(begin());
    TRY(done(::cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking)));
    TRY(done(::cudaMalloc(&staged_, kStagedBytes)));
    ncclUniqueId id{};
    if (membership.rank == 0 && ::ncclGetUniqueId(&id) != ncclSuccess)
      return abort("it has no network", Kind::kLink);
    const std::vector<std::string> all =
        TRY(membership.exchange(std::string(id.internal, sizeof id.internal)));
    if (all[0].size() != sizeof id.internal) return abort("rank 0 has sent no id", Kind::kLink);
    std::memcpy(id.internal, all[0].data(), sizeof id.internal);
    ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
    config.blocking = 0;
    Wait wait(patience_);
    const ncclResult_t began = ::ncclCommInitRankConfig(
        &comm_, static_cast<int>(membership.ranks), id, static_cast<int>(membership.rank), &config);
    return settled(began, wait);
  }

  Result<> sum(std::span<float> values) override {
    TRY(begin());
    if (values.empty()) return {};
    Wait wait(patience_);
    TRY(settled(::ncclAllReduce(values.data(), values.data(), values.size(), ncclFloat32, ncclSum,
                                comm_, stream_),
                wait));
    return finished(wait);
  }

  Result<> sum(std::span<double> values) override {  // few, and in the host's memory
    ASSERT(values.size_bytes() <= kStagedBytes);
    TRY(begin());
    if (values.empty()) return {};
    Wait wait(patience_);
    TRY(done(::cudaMemcpyAsync(staged_, values.data(), values.size_bytes(), cudaMemcpyHostToDevice,
                               stream_)));
    TRY(settled(
        ::ncclAllReduce(staged_, staged_, values.size(), ncclFloat64, ncclSum, comm_, stream_),
        wait));
    TRY(finished(wait));  // a copy to memory that is not pinned would wait itself, and for ever
    TRY(done(::cudaMemcpyAsync(values.data(), staged_, values.size_bytes(), cudaMemcpyDeviceToHost,
                               stream_)));
    return finished(wait);
  }

  Result<> gather(std::span<float> all, std::span<const std::size_t> counts) override {
    TRY(begin());
    Wait wait(patience_);
    ncclResult_t code = ::ncclGroupStart();
    const bool in_group = code == ncclSuccess;
    float* at = all.data();
    // Within the group nothing settles: what is in progress is so until its end.
    for (std::size_t rank = 0; rank < counts.size(); at += counts[rank++])
      if (counts[rank] > 0 && (code == ncclSuccess || code == ncclInProgress))
        code = ::ncclBroadcast(at, at, counts[rank], ncclFloat32, static_cast<int>(rank), comm_,
                               stream_);
    // After an error, too: the group is the thread's, and would hold its next calls.
    const ncclResult_t ended = in_group ? ::ncclGroupEnd() : code;
    TRY(settled(code == ncclSuccess || code == ncclInProgress ? ended : code, wait));
    return finished(wait);
  }

 private:
  static constexpr std::size_t kStagedBytes = 1U << 16;

  // Each call may be another thread's than the last one.
  Result<> begin() {
    if (lost_) return fail(*lost_);
    return done(::cudaSetDevice(device_));
  }

  Result<> done(cudaError_t code) {
    if (code == cudaSuccess) return {};
    return abort(::cudaGetErrorString(code), Kind::kIo);
  }

  // Until a call that has only begun is done: it may connect to others.
  Result<> settled(ncclResult_t code, Wait& wait) {
    while (code == ncclInProgress && comm_ != nullptr) {
      TRY(pause(wait));
      code = asynchronous();
    }
    if (code == ncclSuccess) return {};
    return abort(::ncclGetErrorString(code), Kind::kLink);
  }

  // Until the stream has done what was asked of it, or a rank is gone.
  Result<> finished(Wait& wait) {
    for (;;) {
      const cudaError_t asked = ::cudaStreamQuery(stream_);
      if (asked != cudaErrorNotReady) return done(asked);
      // It is kept as this thread's last error, too, and the next launch here, of a kernel or of
      // LibTorch, would report it as its own.
      static_cast<void>(::cudaGetLastError());
      const ncclResult_t code = asynchronous();
      if (code != ncclSuccess && code != ncclInProgress)
        return abort(::ncclGetErrorString(code), Kind::kLink);
      TRY(pause(wait));
    }
  }

  ncclResult_t asynchronous() const {
    ncclResult_t code = ncclSuccess;
    const ncclResult_t asked = ::ncclCommGetAsyncError(comm_, &code);
    return asked == ncclSuccess ? code : asked;
  }

  // Between two looks at what has been asked for.
  Result<> pause(Wait& wait) {
    const auto now = Clock::now();
    if (now > wait.until) return abort("a rank does not come", Kind::kTimeout);
    if (gone_ && now >= wait.next_look) {
      wait.next_look = now + kLook;
      if (const std::optional<std::string> why = gone_()) {
        if (!wait.gone_since) wait.gone_since = now;
        if (now - *wait.gone_since > kGoneGrace) return abort(*why, Kind::kLink);
      }
    }
    const Duration spent = now - wait.began;
    if (spent < kSpin) return {};
    const timespec sleep{0, std::min(spent / kSleepsShare, kLongestSleep).count()};
    ::ppoll(nullptr, 0, &sleep, nullptr);
    return {};
  }

  // Once; what failed first is what every later call says.
  Result<> abort(std::string why, Kind kind) {
    if (ncclComm_t comm = std::exchange(comm_, nullptr); comm != nullptr) ::ncclCommAbort(comm);
    lost_ = Error(kind, "sum over the ranks by NCCL", std::move(why))
                .advise("start the run again with --resume auto");
    return fail(*lost_);
  }

  int device_;
  Duration patience_;
  std::function<std::optional<std::string>()> gone_;
  std::optional<Error> lost_;
  ncclComm_t comm_ = nullptr;
  cudaStream_t stream_ = nullptr;
  void* staged_ = nullptr;
};

}  // namespace

Result<std::unique_ptr<Collectives>> nccl_collectives(const Membership& membership) {
  auto made = std::make_unique<NcclCollectives>(membership);
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
