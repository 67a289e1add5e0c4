// Checkpoints of a run, each a folder that any Hugging Face reader can load:
//
//   RUN/checkpoints/step-00000100/config.json, model.safetensors   the weights, fp32
//                                state.safetensors                 the optimizer's buffers, fp32
//                                checkpoint.json                   counters, what the bits depend
//                                                                  on, size and checksum of each
//                                                                  file
//
// Each start of a run is an attempt; RUN/log/000001.run, its run log, is what numbers it.
// A checkpoint is written under another name, synced and renamed: it is whole or not there. A
// thread writes; the training thread pays for a copy of memory (engine/learner.hpp).
//
// Requeued jobs overlap. An attempt claims its number first and looks for the newest checkpoint
// then; one that finds a newer attempt, before it writes, before the rename or before it deletes,
// ends. So what the newer one finds stays there until it was read.
#pragma once

#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "lib/base/units.hpp"
#include "trainer/parameters.hpp"
#include "trainer/posix_file.hpp"

namespace longhaul::trainer {

struct CheckpointNotes {
  std::uint64_t step = 0;        // steps done: the next one's number
  std::uint64_t next_index = 0;  // global index of the next sample
  // What a resume must find the same (model, data, batch ..), and what merely decides whether the
  // bits are the same (build, CPU, threads ..).
  std::map<std::string, std::string> settings, environment;
  std::map<std::string, double> numbers;  // guard's averages, best evaluation, kappa ..
  bool operator==(const CheckpointNotes&) const = default;
};

using NamedFloats = std::pair<std::string, std::span<float>>;
using NamedConstFloats = std::pair<std::string, std::span<const float>>;

// Claims the next attempt's number by an atomic create: of an empty log, for want of one who writes
// it (longhaul.h does the same, and fills it).
Result<std::uint64_t> claim_attempt(const Path& run);
Result<std::uint64_t> newest_attempt(const Path& run);      // 0: none yet
Path attempt_path(const Path& run, std::uint64_t attempt);  // its log; numbers are given in order

// Checkpoints of a run by step, oldest first; unfinished ones are not among them.
Result<std::vector<Path>> list_checkpoints(const Path& run);
// Reads the notes and checks every file's size and checksum. kIntegrity, kMalformed or kNotFound.
Result<CheckpointNotes> verify_checkpoint(const Path& folder);
// The newest that verifies; those that do not are named in `broken`. nullopt: none.
struct Found {
  Path folder;
  CheckpointNotes notes;
};
Result<std::optional<Found>> newest_valid(const Path& run, std::vector<std::string>& broken);
// The newest whose notes can be read, without a look at its files: what an attempt knows before it
// claims its number. Another one may be there by then, of the same run.
Result<std::optional<Found>> newest_noted(const Path& run);
Result<CheckpointNotes> read_notes(const Path& folder);
Result<> of_model(const Path& folder, const ModelConfig& config);  // kUsage: of another one
// Fills `weights` and every named buffer; kMalformed if the checkpoint lacks one or has another
// length.
Result<> load_checkpoint(const Path& folder, const ModelConfig& config, std::span<float> weights,
                         std::span<const NamedFloats> state);
// What is kept: so many of the newest valid ones, `best`, and of those with a file `pending-home`
// the newest few. A site puts that file there until the checkpoint has arrived; a laptop that never
// comes back must not fill the disk.
inline constexpr std::size_t kMostPending = 3;
struct Keep {
  std::size_t newest = 2;
  std::optional<Path> best{};
  std::size_t pending = kMostPending;
};
// Deletes the others. kBusy, and nothing is deleted, once there is a newer attempt: that may be
// reading them.
struct Pruned {
  std::size_t deleted = 0;
  std::vector<std::uint64_t> given_up{};  // steps of those among them that are not home
};
Result<Pruned> prune_checkpoints(const Path& run, std::uint64_t attempt, const Keep& keep);

// kBusy if there is a newer attempt, also if that has begun while this one wrote: it then stands
// under no name. One of that step is left as it is if it is valid and of the same notes; another
// one (of an attempt that was overtaken as it gave it its name) is replaced. `written`: called when
// all of it is on the disk, before it gets its name.
Result<> write_checkpoint(const Path& run, std::uint64_t attempt, const ModelConfig& config,
                          std::span<const float> weights, std::span<const NamedConstFloats> state,
                          const CheckpointNotes& notes, const std::function<void()>& written = {});
Path checkpoint_path(const Path& run, std::uint64_t step);

// Weights and state as they were at one moment, in memory that lies still until the checkpoint is
// written: the writer makes no copy.
struct Snapshot {
  std::span<const float> weights;
  std::vector<NamedConstFloats> state;
  std::function<void()> filled{};  // returns once all of it is there; none: it is. Any thread
};

class CheckpointWriter {
 public:
  CheckpointWriter(Path run, std::uint64_t attempt, ModelConfig config, std::size_t keep);
  ~CheckpointWriter();  // finishes what was begun
  CheckpointWriter(const CheckpointWriter&) = delete;
  CheckpointWriter& operator=(const CheckpointWriter&) = delete;

  bool busy() const;  // an earlier one is still being written, from its snapshot
  // Returns at once, writing goes on behind; waits if busy(). `best`: the step that was evaluated
  // best of those on the disk. `better`: this one is, and takes its place once it is there.
  void begin(Snapshot snapshot, CheckpointNotes notes, std::optional<std::uint64_t> best,
             bool better = false);
  // The outcome of those finished since the last call.
  struct Outcome {
    std::uint64_t step;
    std::uint64_t bytes;
    double seconds;
    std::optional<Error> error;
    std::vector<std::uint64_t> given_up{};  // steps that were not home, and had to go
  };
  std::vector<Outcome> outcomes();
  void wait();
  bool wait(Duration most);  // until it is not busy(); false: it still is

 private:
  void run();
  Outcome write();
  Result<> write_and_prune(Outcome& outcome);

  Path run_;
  std::uint64_t attempt_;
  ModelConfig config_;
  std::size_t keep_;
  Snapshot snapshot_;  // the writer's while it is busy
  CheckpointNotes notes_;
  std::optional<std::uint64_t> best_;
  bool better_ = false;

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  bool busy_ = false, stopping_ = false;
  std::vector<Outcome> done_;
  std::thread thread_;
};

}  // namespace longhaul::trainer
