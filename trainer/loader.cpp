#include "trainer/loader.hpp"

#include <fmt/format.h>
#include <sched.h>

#include <chrono>

#include "lib/base/escape.hpp"

namespace longhaul::trainer {
namespace {

constexpr Duration kLook = 100ms;  // between looks at whether to stop

}  // namespace

Loader::Loader(std::unique_ptr<DataSource> source, SampleOrder order, std::uint64_t sequence,
               const LoaderOptions& options)
    : source_(std::move(source)),
      order_(std::move(order)),
      lookahead_({.prefetch_seconds = options.prefetch_seconds,
                  .sample_bytes = sequence * options.token_bytes,
                  .first_index = options.first_index}),
      sequence_(sequence),
      options_(options),
      slots_(options.ring) {
  ASSERT(options.ring >= 2 && options.ranks > 0 && options.rank < options.ranks);
  ASSERT(options.global_batch % options.ranks == 0);
  thread_ = std::thread([this] { run(); });
}

Loader::~Loader() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

Result<> Loader::read_sample(const TokenRange& range, std::span<Token> out) {
  for (;;) {
    const Presence presence = TRY(source_->read(range, out));
    {
      const std::lock_guard lock(mutex_);
      if (presence == Presence::kThere) {
        waiting_.reset();
        return {};
      }
      if (stopping_) return fail(Kind::kInterrupted, "read tokens");
      waiting_ = source_->waiting_for(range);
    }
    source_->wait_for_arrival(kLook);
  }
}

Result<> Loader::know(std::uint64_t index) {
  while (!order_.knows(index)) {
    ASSERT(options_.arrival.has_value());
    const Presence presence = TRY(options_.arrival->next(order_, *source_));
    {
      const std::lock_guard lock(mutex_);
      if (presence == Presence::kThere) {
        waiting_.reset();
        continue;
      }
      if (stopping_) return fail(Kind::kInterrupted, "read tokens");
      waiting_ = "any block that was not read yet";
    }
    source_->wait_for_arrival(kLook);
  }
  return {};
}

// Asked for each sample: a batch may begin in one window and end in the next.
void Loader::name_window_of(std::uint64_t number) {
  const auto now = Time(std::chrono::steady_clock::now().time_since_epoch());
  const auto soon = lookahead_.due(order_, number, now);
  if (!soon) return;
  source_->will_need(*soon, order_.window_blocks());
  const std::lock_guard lock(mutex_);
  reach_ = lookahead_.reach();
}

Result<> Loader::fill(LoadedBatch& batch, std::uint64_t index) {
  const std::uint64_t samples = options_.global_batch / options_.ranks;
  batch.first_index = index;
  batch.tokens.resize(samples * sequence_);
  batch.targets.resize(samples * sequence_);
  std::vector<Token> ids(sequence_ + 1);
  for (std::uint64_t s = 0; s < samples; ++s) {
    const std::uint64_t number = index + options_.rank * samples + s;
    TRY(know(number));
    name_window_of(number);
    const TokenRange range = order_.at(number);
    TRY(read_sample(range, ids));
    for (std::uint64_t i = 0; i <= sequence_; ++i) {
      if (ids[i] >= options_.vocab)
        return fail(
            Error(Kind::kMalformed, "read " + printable(source_->shards()[range.shard].name),
                  fmt::format("token {} is id {}, the model's vocabulary ends at {}",
                              range.first + i, ids[i], options_.vocab))
                .advise("give the --model that goes with the data's tokenizer, or tokenize again"));
      if (i < sequence_) batch.tokens[s * sequence_ + i] = ids[i];
      if (i > 0) batch.targets[s * sequence_ + i - 1] = ids[i];
    }
  }
  return {};
}

void Loader::run() {
  // Batches are made ahead, so none is urgent: where the threads share a core, the one that trains
  // is not to be put aside each time it takes a batch and wakes this one (sched(7): a batch thread
  // preempts no other when it wakes).
  const sched_param parameters{};
  static_cast<void>(::sched_setscheduler(0, SCHED_BATCH, &parameters));  // this thread's alone
  std::uint64_t index = options_.first_index;
  for (;;) {
    std::size_t slot = 0;
    {
      std::unique_lock lock(mutex_);
      // The slot handed out last is still in use, so one is always left.
      changed_.wait(lock, [&] { return stopping_ || filled_ - taken_ + 1 < slots_.size(); });
      if (stopping_) return;
      slot = filled_ % slots_.size();
    }
    Result<> filled = fill(slots_[slot], index);
    {
      const std::lock_guard lock(mutex_);
      if (!filled) {
        error_ = filled.error();
        changed_.notify_all();
        return;
      }
      ++filled_;
    }
    changed_.notify_all();
    index += options_.global_batch;
  }
}

Result<const LoadedBatch*> Loader::take() {
  for (;;) {
    const LoadedBatch* batch = TRY(take(1h));
    if (batch != nullptr) return batch;
  }
}

Result<const LoadedBatch*> Loader::take(Duration most) {
  std::unique_lock lock(mutex_);
  if (!changed_.wait_for(lock, most, [&] { return filled_ > taken_ || error_; })) return nullptr;
  if (filled_ == taken_) return fail(*error_);
  const LoadedBatch* batch = &slots_[taken_++ % slots_.size()];
  lock.unlock();
  changed_.notify_all();
  return batch;
}

std::optional<std::string> Loader::waiting_for() const {
  const std::lock_guard lock(mutex_);
  return waiting_;
}

std::optional<std::uint64_t> Loader::reach() const {
  const std::lock_guard lock(mutex_);
  return reach_;
}

std::size_t Loader::ready() const {
  const std::lock_guard lock(mutex_);
  return filled_ - taken_;
}

}  // namespace longhaul::trainer
