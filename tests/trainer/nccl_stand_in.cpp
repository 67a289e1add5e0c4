#include "tests/trainer/nccl_stand_in.hpp"

#include <cuda_runtime_api.h>
#include <fmt/format.h>
#include <nccl.h>

#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <utility>

namespace longhaul::nccl_stand_in {
namespace {

struct Meeting {  // of all ranks, in one collective
  std::string what;
  std::vector<std::vector<std::byte>> given;
  std::uint64_t came = 0;
};
struct Clique {
  std::vector<Meeting> meetings;
};
struct Rank {
  Rules rules;
  std::vector<std::string> launches;
  int aborts = 0;
};

struct Stand {
  std::mutex mutex;
  std::vector<Rank> ranks;
  std::vector<std::string> misuses;
  std::map<std::string, Clique> cliques;
  std::vector<std::unique_ptr<ncclComm>> comms;  // also aborted ones, so that their use is seen
  int held = 0, cliques_made = 0;
};
Stand stand;
thread_local int device = 0;
thread_local int group = 0;
thread_local cudaError_t last_error = cudaSuccess;

Rank& rank_at(int number) {
  return stand.ranks.at(static_cast<std::size_t>(number));
}
void misuse(std::string what) {
  stand.misuses.push_back(std::move(what));
}
cudaError_t ends(cudaError_t code) {
  if (code != cudaSuccess) last_error = code;
  return code;
}
cudaError_t cuda(const char* name, int of) {
  return ends(rank_at(of).rules.fails == name ? cudaErrorLaunchFailure : cudaSuccess);
}

}  // namespace
}  // namespace longhaul::nccl_stand_in

using namespace longhaul::nccl_stand_in;

struct CUstream_st {
  int device;
  std::deque<std::function<bool()>> works;  // each says whether it is done
};

struct ncclComm {
  int rank, ranks;
  std::string id;
  std::size_t launched = 0;
  int polls = 0;                             // left, until what has begun is done
  std::vector<std::function<void()>> begun;  // onto the streams, then
  bool aborted = false;
};

namespace {

thread_local std::vector<std::pair<ncclComm*, std::function<void()>>> grouped;

template <class Number>
void add(std::vector<std::byte>& sums, const std::vector<std::byte>& more) {
  for (std::size_t at = 0; at < sums.size(); at += sizeof(Number)) {
    Number one{}, other{};
    std::memcpy(&one, &sums[at], sizeof one);
    std::memcpy(&other, &more[at], sizeof other);
    one += other;
    std::memcpy(&sums[at], &one, sizeof one);
  }
}

struct Asked {  // of one rank, in one collective
  ncclComm* comm;
  const void* from;
  void* to;
  std::size_t bytes;
  ncclDataType_t type;
  int root;  // -1: a sum
};

void finish(const Asked& asked, const Meeting& meeting) {
  if (asked.root >= 0) {
    const auto& root = meeting.given[static_cast<std::size_t>(asked.root)];
    std::memcpy(asked.to, root.data(), root.size());
    return;
  }
  std::vector<std::byte> sums = meeting.given[0];
  for (std::size_t rank = 1; rank < meeting.given.size(); ++rank)
    (asked.type == ncclFloat64 ? add<double> : add<float>)(sums, meeting.given[rank]);
  std::memcpy(asked.to, sums.data(), sums.size());
}

// What a stream has to do for the `n`th collective of `asked.comm`.
std::function<bool()> work_of(const Asked& asked, std::size_t n, const std::string& what) {
  return [asked, n, what, came = false]() mutable {
    if (asked.comm->aborted) return true;  // its kernel ends
    std::vector<Meeting>& meetings = stand.cliques[asked.comm->id].meetings;
    if (meetings.size() <= n) meetings.resize(n + 1);
    Meeting& meeting = meetings[n];
    if (!std::exchange(came, true)) {
      if (meeting.came++ == 0) {
        meeting.what = what;
        meeting.given.resize(static_cast<std::size_t>(asked.comm->ranks));
      }
      if (meeting.what != what) misuse(what + " meets " + meeting.what);
      const auto* bytes = static_cast<const std::byte*>(asked.from);
      meeting.given[static_cast<std::size_t>(asked.comm->rank)].assign(bytes, bytes + asked.bytes);
    }
    if (meeting.came < static_cast<std::uint64_t>(asked.comm->ranks)) return false;
    finish(asked, meeting);
    return true;
  };
}

bool usable(const ncclComm* comm, const char* call) {
  if (comm != nullptr && !comm->aborted) return true;
  misuse(std::string(call) + " of no communicator");
  return false;
}

// Launches them, or begins to.
ncclResult_t launch(ncclComm* comm, std::vector<std::function<void()>> works) {
  if (comm->polls > 0) misuse("a call while another is in progress");
  comm->begun = std::move(works);
  comm->polls = rank_at(comm->rank).rules.polls;
  if (comm->polls > 0) return ncclInProgress;
  for (const auto& work : std::exchange(comm->begun, {})) work();
  return ncclSuccess;
}

ncclResult_t collective(const char* call, const Asked& asked, const std::string& what,
                        cudaStream_t stream) {
  if (!usable(asked.comm, call)) return ncclInvalidArgument;
  Rank& rank = rank_at(asked.comm->rank);
  if (rank.rules.fails == call) return ncclSystemError;
  if (device != asked.comm->rank || stream->device != device) return ncclInvalidUsage;
  rank.launches.push_back(what);
  auto put = [stream, work = work_of(asked, asked.comm->launched++, what)] {
    stream->works.push_back(work);
  };
  if (group == 0) return launch(asked.comm, {put});
  grouped.emplace_back(asked.comm, put);
  return ncclSuccess;
}

std::string name_of(std::size_t count, ncclDataType_t type) {
  return fmt::format("of {} {}", count, type == ncclFloat64 ? "f64" : "f32");
}
std::size_t bytes_of(std::size_t count, ncclDataType_t type) {
  return count * (type == ncclFloat64 ? sizeof(double) : sizeof(float));
}

}  // namespace

namespace longhaul::nccl_stand_in {

void begin(std::uint64_t ranks, const Rules& rules) {
  const std::lock_guard lock(stand.mutex);
  stand.ranks.assign(ranks, Rank{rules, {}, 0});
  stand.misuses.clear();
  stand.cliques.clear();
  stand.comms.clear();
  stand.held = 0;
}
void set(std::uint64_t rank, const Rules& rules) {
  const std::lock_guard lock(stand.mutex);
  stand.ranks.at(rank).rules = rules;
}
std::vector<std::string> launches(std::uint64_t rank) {
  const std::lock_guard lock(stand.mutex);
  return stand.ranks.at(rank).launches;
}
int aborts(std::uint64_t rank) {
  const std::lock_guard lock(stand.mutex);
  return stand.ranks.at(rank).aborts;
}
std::vector<std::string> misuses() {
  const std::lock_guard lock(stand.mutex);
  return stand.misuses;
}
bool leaves_an_error() {
  return last_error != cudaSuccess;
}
int held() {
  const std::lock_guard lock(stand.mutex);
  return stand.held;
}

}  // namespace longhaul::nccl_stand_in

cudaError_t cudaSetDevice(int number) {
  const std::lock_guard lock(stand.mutex);
  device = number;
  return cuda("cudaSetDevice", number);
}

cudaError_t cudaMalloc(void** at, std::size_t bytes) {
  const std::lock_guard lock(stand.mutex);
  if (const cudaError_t code = cuda("cudaMalloc", device); code != cudaSuccess) return code;
  *at = std::malloc(bytes);
  ++stand.held;
  return cudaSuccess;
}

cudaError_t cudaFree(void* at) {
  const std::lock_guard lock(stand.mutex);
  std::free(at);
  --stand.held;
  return cudaSuccess;
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned int) {
  const std::lock_guard lock(stand.mutex);
  if (const cudaError_t code = cuda("cudaStreamCreateWithFlags", device); code != cudaSuccess)
    return code;
  *stream = new CUstream_st{device, {}};
  ++stand.held;
  return cudaSuccess;
}

cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  const std::lock_guard lock(stand.mutex);
  delete stream;
  --stand.held;
  return cudaSuccess;
}

cudaError_t cudaStreamQuery(cudaStream_t stream) {
  const std::lock_guard lock(stand.mutex);
  if (const cudaError_t code = cuda("cudaStreamQuery", stream->device); code != cudaSuccess)
    return code;
  while (!stream->works.empty()) {
    if (!stream->works.front()()) return ends(cudaErrorNotReady);
    stream->works.pop_front();
  }
  return cudaSuccess;
}

cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind,
                            cudaStream_t stream) {
  const std::lock_guard lock(stand.mutex);
  if (const cudaError_t code = cuda("cudaMemcpyAsync", stream->device); code != cudaSuccess)
    return code;
  if (!stream->works.empty()) misuse("a copy of memory that is not pinned waits for the stream");
  const auto* source = static_cast<const std::byte*>(from);
  stream->works.emplace_back([to, taken = std::vector<std::byte>(source, source + bytes)] {
    std::memcpy(to, taken.data(), taken.size());
    return true;
  });
  return cudaSuccess;
}

cudaError_t cudaGetLastError() {
  return std::exchange(last_error, cudaSuccess);
}

const char* cudaGetErrorString(cudaError_t) {
  return "unspecified launch failure";
}

ncclResult_t ncclGetUniqueId(ncclUniqueId* id) {
  const std::lock_guard lock(stand.mutex);
  if (rank_at(device).rules.fails == "ncclGetUniqueId") return ncclSystemError;
  const std::string name = fmt::format("clique {}", stand.cliques_made++);
  std::memset(id->internal, 0, sizeof id->internal);
  std::memcpy(id->internal, name.data(), name.size());
  return ncclSuccess;
}

ncclResult_t ncclCommInitRankConfig(ncclComm_t* comm, int ranks, ncclUniqueId id, int rank,
                                    ncclConfig_t* config) {
  const std::lock_guard lock(stand.mutex);
  if (rank_at(rank).rules.fails == "ncclCommInitRankConfig") return ncclSystemError;
  if (config->blocking != 0) misuse("a communicator that blocks");
  stand.comms.push_back(std::make_unique<ncclComm>(
      ncclComm{rank, ranks, std::string(id.internal, sizeof id.internal), 0, 0, {}, false}));
  *comm = stand.comms.back().get();
  ++stand.held;
  return launch(*comm, {});
}

ncclResult_t ncclCommAbort(ncclComm_t comm) {
  const std::lock_guard lock(stand.mutex);
  if (!usable(comm, "ncclCommAbort")) return ncclInvalidArgument;
  comm->aborted = true;
  ++rank_at(comm->rank).aborts;
  --stand.held;
  return ncclSuccess;
}

ncclResult_t ncclCommGetAsyncError(ncclComm_t comm, ncclResult_t* code) {
  const std::lock_guard lock(stand.mutex);
  if (!usable(comm, "ncclCommGetAsyncError")) return ncclInvalidArgument;
  const Rules& rules = rank_at(comm->rank).rules;
  if (rules.fails == "ncclCommGetAsyncError") return ncclSystemError;
  if (comm->polls > 0 && --comm->polls == 0)
    for (const auto& work : std::exchange(comm->begun, {})) work();
  *code = rules.loses_peer ? ncclRemoteError : comm->polls > 0 ? ncclInProgress : ncclSuccess;
  return ncclSuccess;
}

ncclResult_t ncclGroupStart() {
  const std::lock_guard lock(stand.mutex);
  if (rank_at(device).rules.fails == "ncclGroupStart") return ncclSystemError;
  ++group;
  ++stand.held;
  return ncclSuccess;
}

ncclResult_t ncclGroupEnd() {
  const std::lock_guard lock(stand.mutex);
  if (group == 0) misuse("the end of no group");
  --group;
  --stand.held;
  std::map<ncclComm*, std::vector<std::function<void()>>> works;
  for (auto& [comm, work] : std::exchange(grouped, {})) works[comm].push_back(std::move(work));
  if (rank_at(device).rules.fails == "ncclGroupEnd") return ncclSystemError;
  ncclResult_t code = ncclSuccess;
  for (auto& [comm, each] : works)
    if (const ncclResult_t one = launch(comm, std::move(each)); one != ncclSuccess) code = one;
  return code;
}

ncclResult_t ncclAllReduce(const void* from, void* to, std::size_t count, ncclDataType_t type,
                           ncclRedOp_t, ncclComm_t comm, cudaStream_t stream) {
  const std::lock_guard lock(stand.mutex);
  return collective("ncclAllReduce", {comm, from, to, bytes_of(count, type), type, -1},
                    "sum " + name_of(count, type), stream);
}

ncclResult_t ncclBroadcast(const void* from, void* to, std::size_t count, ncclDataType_t type,
                           int root, ncclComm_t comm, cudaStream_t stream) {
  const std::lock_guard lock(stand.mutex);
  return collective("ncclBroadcast", {comm, from, to, bytes_of(count, type), type, root},
                    fmt::format("broadcast {} from {}", name_of(count, type), root), stream);
}

const char* ncclGetErrorString(ncclResult_t code) {
  return code == ncclRemoteError ? "remote process exited" : "unhandled system error";
}
