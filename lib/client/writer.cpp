#include "lib/client/writer.hpp"

#include <pthread.h>

#include <chrono>
#include <csignal>
#include <vector>

namespace longhaul::client {
namespace {

constexpr auto kTurn = std::chrono::milliseconds(20);
constexpr int kTurnsPerSecond = 50;
constexpr int kTurnsPerLook = 5;  // for commands

WallTime wall_now() {
  const auto since = std::chrono::system_clock::now().time_since_epoch();
  return {std::chrono::duration_cast<std::chrono::nanoseconds>(since).count()};
}

}  // namespace

Writer::Writer(RunFolder folder, LogFile log, run::SharedLog shared, Past past,
               bool hand_out_in_force, const run::Start& start)
    : folder_(std::move(folder)),
      at_work_(std::move(past.at_work)),
      log_(std::move(log)),
      shared_(shared),
      drain_(shared_, run::LogEncoder()),
      controls_(std::move(past.controls)),
      attempt_(start.attempt) {
  if (hand_out_in_force) {
    for (const auto& [name, command] : controls_.in_force()) again_.push_back(command);
  }
  pending_.store(static_cast<std::uint32_t>(again_.size()), std::memory_order_relaxed);
  unwritten_ = drain_.frame(start);
  // Signals are for the training program's threads.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  thread_ = std::thread([this] { loop(); });
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

Writer::~Writer() {
  if (thread_.joinable()) thread_.join();  // close() came first, and it was done
}

void Writer::event(run::RunEvent event) {
  const std::lock_guard lock(mutex_);
  if (events_.size() >= kEventsMax)
    ++events_dropped_;
  else
    events_.push_back(std::move(event));
}

std::optional<run::Command> Writer::poll(WallTime now, std::uint64_t step) {
  const std::lock_guard lock(mutex_);
  step_ = step;
  std::optional<run::Command> command;
  if (!again_.empty()) {
    command = std::move(again_.front());
    again_.pop_front();
  } else {
    std::vector<run::RunEvent> expired;
    command = controls_.take(now, step, expired);
    for (run::RunEvent& event : expired) events_.push_back(std::move(event));
  }
  const std::size_t left = again_.size() + (controls_.pending() ? 1 : 0);
  pending_.store(static_cast<std::uint32_t>(left), std::memory_order_relaxed);
  return command;
}

void Writer::done(WallTime now, std::uint64_t step, const run::Command& command, run::EventKind how,
                  std::string why) {
  const std::lock_guard lock(mutex_);
  events_.push_back(controls_.done(now, step, command, how, std::move(why)));
}

Counts Writer::counts() const {
  const std::lock_guard lock(mutex_);
  return {logged_.load(), events_dropped_, failed_.load(), errno_.load()};
}

bool Writer::close(run::End end, std::chrono::milliseconds patience) {
  std::unique_lock lock(mutex_);
  closing_ = true;
  end_ = std::move(end);
  wake_.notify_all();
  return done_.wait_for(lock, patience, [this] { return finished_; });
}

void Writer::loop() {
  for (int turns = 0;; ++turns) {
    bool closing = false;
    {
      std::unique_lock lock(mutex_);
      wake_.wait_for(lock, kTurn, [this] { return closing_; });
      closing = closing_;
    }
    // After a failure nothing is tried for a second: a full disk stays full for a while.
    const bool rests = !unwritten_.empty() && failed_.load() > 0 && turns % kTurnsPerSecond != 0;
    const bool wrote = (!rests || closing) && turn();
    if (turns % kTurnsPerLook == 0) look_for_commands(wall_now());
    if (turns % kTurnsPerSecond == 0) second();
    if (!closing) continue;
    if (wrote && end_) {
      shared_.close();
      write(drain_.frame(*end_));
    }
    (void)log_.sync();
    const std::lock_guard lock(mutex_);
    finished_ = true;
    done_.notify_all();
    return;
  }
}

bool Writer::turn() {
  if (!unwritten_.empty() && !write(std::move(unwritten_))) return false;
  return write_rings() && write_events();
}

bool Writer::write(ByteVector frame) {
  if (auto put = log_.append(frame); !put) {
    failed_.fetch_add(1);
    errno_.store(put.error().os());
    unwritten_ = std::move(frame);
    return false;
  }
  unwritten_.clear();
  if (from_rings_) drain_.written();
  from_rings_ = false;
  logged_.store(drain_.log().next(), std::memory_order_relaxed);
  return true;
}

bool Writer::write_rings() {
  while (auto frame = drain_.next_frame()) {
    from_rings_ = true;
    if (!write(*std::move(frame))) return false;
  }
  return true;
}

bool Writer::write_events() {
  for (;;) {
    run::RunEvent event;
    {
      const std::lock_guard lock(mutex_);
      if (events_.empty()) return true;
      event = std::move(events_.front());
      events_.pop_front();
    }
    const std::uint64_t id = event.id;
    if (!write(drain_.frame(event))) return false;
    // Its file is forgotten only when the log says what became of it.
    if (id != 0) folder_.forget_command(id);
  }
}

void Writer::look_for_commands(WallTime now) {
  const auto commands = folder_.commands();
  if (commands.empty()) return;
  std::vector<std::uint64_t> decided;
  {
    const std::lock_guard lock(mutex_);
    for (const run::Command& command : commands) {
      if (controls_.decided(command.id)) decided.push_back(command.id);
      if (auto event = controls_.on_command(now, step_, command))
        events_.push_back(*std::move(event));
    }
    const std::size_t left = again_.size() + (controls_.pending() ? 1 : 0);
    pending_.store(static_cast<std::uint32_t>(left), std::memory_order_relaxed);
  }
  // A disk that hangs holds up nobody who wants the lock.
  for (const std::uint64_t id : decided) folder_.forget_command(id);
}

void Writer::second() {
  if (auto synced = log_.sync(); !synced) {
    failed_.fetch_add(1);
    errno_.store(synced.error().os());
  }
  std::erase_if(at_work_, [this](std::uint32_t attempt) {
    const auto rescued = folder_.rescue(attempt);
    return rescued || rescued.error().kind() != Kind::kBusy;
  });
  if (folder_.has_attempt(attempt_ + 1)) superseded_.store(true, std::memory_order_relaxed);
}

}  // namespace longhaul::client
