#include <algorithm>
#include <chrono>

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

void CheckpointWriter::prepare(std::span<const float> weights,
                               std::span<const NamedConstFloats> state) {
  wait();
  weights_.assign(weights.size(), 0.0F);
  state_.resize(state.size());
  for (std::size_t i = 0; i < state.size(); ++i) state_[i].second.assign(state[i].second.size(), 0);
}

void CheckpointWriter::begin(std::span<const float> weights,
                             std::span<const NamedConstFloats> state, CheckpointNotes notes,
                             std::optional<std::uint64_t> best_step) {
  wait();
  weights_.assign(weights.begin(), weights.end());  // keeps its memory from one to the next
  state_.resize(state.size());
  for (std::size_t i = 0; i < state.size(); ++i) {
    state_[i].first = state[i].first;
    state_[i].second.assign(state[i].second.begin(), state[i].second.end());
  }
  notes_ = std::move(notes);
  best_step_ = best_step;
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

CheckpointWriter::Outcome CheckpointWriter::write() {
  const auto began = std::chrono::steady_clock::now();
  Outcome outcome{notes_.step, weights_.size() * 4, 0, std::nullopt};
  std::vector<NamedConstFloats> state;
  for (const auto& [name, floats] : state_) {
    state.emplace_back(name, floats);
    outcome.bytes += floats.size() * 4;
  }
  Result<> written = write_checkpoint(run_, attempt_, config_, weights_, state, notes_);
  if (written) {
    const auto best = best_step_ ? std::optional(checkpoint_path(run_, *best_step_)) : std::nullopt;
    written = prune_checkpoints(run_, keep_, best);
  }
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
