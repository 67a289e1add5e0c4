#include <chrono>
#include <utility>

#include "trainer/checkpoint.hpp"

namespace longhaul::trainer {

CheckpointWriter::CheckpointWriter(Path run, std::uint64_t attempt, ModelConfig config,
                                   std::size_t keep)
    : run_(std::move(run)),
      attempt_(attempt),
      config_(std::move(config)),
      keep_(keep),
      thread_([this] { this->run(); }) {}

CheckpointWriter::~CheckpointWriter() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

bool CheckpointWriter::busy() const {
  const std::lock_guard lock(mutex_);
  return busy_;
}

void CheckpointWriter::wait() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return !busy_; });
}

bool CheckpointWriter::wait(Duration most) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, most, [this] { return !busy_; });
}

void CheckpointWriter::begin(Snapshot snapshot, CheckpointNotes notes,
                             std::optional<std::uint64_t> best, bool better) {
  wait();
  snapshot_ = std::move(snapshot);
  notes_ = std::move(notes);
  best_ = best;
  better_ = better;
  {
    const std::lock_guard lock(mutex_);
    busy_ = true;
  }
  changed_.notify_all();
}

std::vector<CheckpointWriter::Outcome> CheckpointWriter::outcomes() {
  const std::lock_guard lock(mutex_);
  return std::exchange(done_, {});
}

// A full disk is made room on before one is left out: by what is to go anyway (an earlier attempt's
// --keep was larger, say), then by what waits for a laptop, the oldest first.
Result<> CheckpointWriter::write_and_prune(Outcome& outcome) {
  Keep keep{keep_, std::nullopt};
  if (best_)
    keep.best = checkpoint_path(run_, *best_);  // also if this is better, until it is there
  const auto write_it = [&] {
    return write_checkpoint(run_, attempt_, config_, snapshot_.weights, snapshot_.state, notes_);
  };
  const auto prune = [&]() -> Result<std::size_t> {
    const Pruned gone = TRY(prune_checkpoints(run_, attempt_, keep));
    outcome.given_up.insert(outcome.given_up.end(), gone.given_up.begin(), gone.given_up.end());
    return gone.deleted;
  };
  Result<> written = write_it();
  while (!written && written.error().kind() == Kind::kNoSpace) {
    if (TRY(prune()) > 0)
      written = write_it();
    else if (keep.pending > 0)
      --keep.pending;
    else
      break;
  }
  if (!written) return written;
  if (better_) keep.best = checkpoint_path(run_, notes_.step);
  TRY(prune());
  return {};
}

CheckpointWriter::Outcome CheckpointWriter::write() {
  const auto began = std::chrono::steady_clock::now();
  if (snapshot_.filled) snapshot_.filled();
  Outcome outcome{notes_.step, snapshot_.weights.size_bytes(), 0, std::nullopt, {}};
  for (const auto& [name, floats] : snapshot_.state) outcome.bytes += floats.size_bytes();
  const Result<> written = write_and_prune(outcome);
  if (!written) outcome.error = written.error();
  outcome.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
  return outcome;
}

void CheckpointWriter::run() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return busy_ || stopping_; });
    if (!busy_) return;
    lock.unlock();
    Outcome outcome = write();
    lock.lock();
    done_.push_back(std::move(outcome));
    busy_ = false;
    changed_.notify_all();
  }
}

}  // namespace longhaul::trainer
