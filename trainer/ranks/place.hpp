// RankPlace: which of how many processes this one is, and where rank 0 listens for the others. From
// torchrun's variables, from srun's, or alone; `--ranks N` on one host sets the former
// (launcher.hpp).
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "lib/base/result.hpp"

namespace longhaul::trainer {

inline constexpr std::uint64_t kMaxRanks = 4096;

struct RankPlace {
  std::uint64_t rank = 0, ranks = 1;
  std::uint64_t gpu = 0;           // which one is its own, of those that it sees
  std::string host = "127.0.0.1";  // of rank 0
  std::uint16_t port = 0;
  int listener = -1;  // rank 0's socket where the launcher has opened it; else it opens its own
  std::string run{};  // the run's name among ranks: those of another one may come to the same port
  bool alone() const { return ranks == 1; }
  bool operator==(const RankPlace&) const = default;
};

using Lookup = std::function<const char*(const char* name)>;  // getenv, say; null: not set

// kUsage names the variable that is missing or makes no sense. In this order:
// RANK, WORLD_SIZE, LOCAL_RANK, MASTER_ADDR, MASTER_PORT (the port after it where torchrun's own
// store listens on that one: TORCHELASTIC_USE_AGENT_STORE=True); SLURM_PROCID,
// SLURM_STEP_NUM_TASKS, SLURM_LOCALID, with the host from MASTER_ADDR or the first of
// SLURM_STEP_NODELIST and the port from MASTER_PORT or the job's number. srun sets
// SLURM_STEP_NUM_TASKS, a batch script alone does not. `gpu` is LOCAL_RANK or SLURM_LOCALID, and 0
// where CUDA_VISIBLE_DEVICES shows a rank one GPU only, as `srun --gpus-per-task=1` does.
Result<RankPlace> rank_place_of(const Lookup& variable);

// "node[03-07,12],login1" -> "node03"
std::string first_host(const std::string& list);

}  // namespace longhaul::trainer
