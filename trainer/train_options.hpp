// What a training run is told: one struct, one list of flags.
#pragma once

#include "trainer/options.hpp"
#include "trainer/schedule.hpp"

namespace longhaul::trainer {

struct TrainOptions {
  std::string model = "tiny";  // a name of config_names(), or a Hugging Face folder
  std::uint64_t layers = 0;    // another depth than the model's; 0: its own
  std::uint64_t hidden = 0;    // another width, heads and intermediate size along; 0: its own
  bool load = false;           // start from the folder's weights, not only its config
  Path data, eval_data, run, store;
  std::string dataset;  // of the streamer whose ROOT is `store`, in place of `data`
  std::uint64_t steps = 1000, batch = 8, micro = 0, sequence = 256, seed = 1;
  std::uint64_t window = 2;      // blocks of 8 MiB
  std::uint64_t prefetch = 600;  // seconds
  std::string order = "shuffled", dtype = "fp32";
  std::string device = "cpu";     // or cuda, cuda:N, cpu-device: the GPU's code on the CPU
  std::uint64_t threads = 1;      // of each rank
  std::uint64_t ranks = 0;        // started here; 0: as the environment says, else 1
  std::uint64_t rank_wait = 600;  // seconds

  // Of the optimizer's rules; empty, 0 and -1, as they stand here, are what it has by itself.
  std::string optimizer = "muon", rest, polar, scale;  // rest: "adamw", "sign"
  std::string nesterov;                                // "yes", "no"
  double rate = 0, rest_rate = 0, momentum = -1, decay = -1;
  double kappa = -1;  // from 0: transported, whatever the optimizer's name
  double radius = 0, rest_radius = 0;
  bool constrained = false;
  double beta1 = -1, beta2 = -1, eps = 0, row_beta = -1;

  std::string schedule = "cosine";
  double clip = 0, noise = 0, noise_alpha = 1.5;
  bool consume = false;                               // gradients, each as it is made
  double warmup = 0.05, floor = 0.1, cooldown = 0.2;  // shares of the run, but the floor

  std::uint64_t eval_every = 0, eval_batches = 8;
  std::uint64_t checkpoint_every = 0, keep = 2;
  std::uint64_t grace = 0;    // seconds; 0: as Slurm says, else no end
  std::string resume = "no";  // "auto", or a checkpoint
  double spike = 0;           // refuse updates whose gradient is so many times its average; 0: none
  std::uint64_t say_every = 10;
  bool forget_controls = false, jsonl = false;
  bool json = false;

  Schedule schedule_of() const;
  double kappa_of() const { return kappa < 0 ? 2 : kappa; }
};
void list_options(Options& options, TrainOptions& run);
// Of these, the ones that say what is trained.
void list_model_options(Options& options, TrainOptions& run);
// Of these, the ones that choose the optimizer and set its rules.
void list_optimizer_options(Options& options, TrainOptions& run);
// Numbers within their ranges, and nothing asked of an optimizer that does not use it. kUsage.
Result<> check_rules(const TrainOptions& run);
std::string config_json(const TrainOptions& run);  // all of it, by the flags' names

}  // namespace longhaul::trainer
