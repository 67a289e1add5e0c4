#include "proxy/daemon/run_board.hpp"

#include <algorithm>

#include "lib/feed/run_files.hpp"

namespace longhaul::daemon {

void RunBoard::move_to(Runs::value_type& entry, Phase phase) {
  Run& run = entry.second;
  if (phase < Phase::kAsked) watches_.erase(run.watch);
  if (phase < Phase::kAsked) run.watch = wire::WatchId();
  run.phase = phase;
  if (phase == Phase::kIdle)
    busy_.erase(entry.first);
  else
    busy_.insert(entry.first);
  look_ = true;
}

void RunBoard::free_slot(Time now, Runs::value_type& entry) {
  move_to(entry, Phase::kIdle);
  pick_at_ = now;
}

RunBoard::Attempt* RunBoard::attempt_of(Run& run, std::uint32_t number) {
  const auto found = run.attempts.find(number);
  if (found != run.attempts.end()) return &found->second;
  if (run.attempts.size() >= kAttemptsBoardMax || attempts_ >= kAttemptsOfAllMax) {
    run.beyond = true;
    return nullptr;
  }
  ++attempts_;
  return &run.attempts[number];
}

void RunBoard::forget_attempts(Run& run) {
  attempts_ -= run.attempts.size();
  run.attempts.clear();
  run.beyond = false;
}

void RunBoard::on_list(Time now, const std::vector<wire::RunLine>& runs) {
  for (auto& [name, run] : runs_) run.line.reset();
  for (const wire::RunLine& line : runs) {
    if (runs_.size() >= kRunsKnownMax && !runs_.contains(line.name)) continue;
    Run& run = runs_[line.name];
    run.line = line;
    run.wrote = std::max(run.wrote, line.wrote);
  }
  std::erase_if(runs_, [this, now](const auto& entry) {
    const Run& run = entry.second;
    if (run.line || run.phase != Phase::kIdle || asked(run, now)) return false;
    attempts_ -= run.attempts.size();
    return true;
  });
  look_ = true;
  pick_at_ = now;
}

void RunBoard::on_mirror(Time now, const std::string& name, const MirrorRead& read) {
  const auto found = runs_.find(name);
  if (found == runs_.end() || found->second.phase != Phase::kOpening) return;
  Run& run = found->second;
  run.kept = true;
  run.keeps = read.appends;
  for (auto& [number, attempt] : run.attempts) attempt.next = attempt.offset = 0;
  for (const wire::LogPlace& place : read.have) {
    Attempt* attempt = attempt_of(run, place.attempt);
    if (attempt == nullptr) continue;
    attempt->next = place.next;
    attempt->offset = place.offset;
    attempt->recorded = std::max(attempt->recorded, place.next);
  }
  for (const auto& [number, step] : read.steps)
    if (Attempt* attempt = attempt_of(run, number)) attempt->step = std::max(attempt->step, step);
  // Somebody else keeps it: later. An order goes out all the same.
  if (read.appends || run.held) return move_to(*found, Phase::kReady);
  run.not_before = now + kBoardRetry;
  free_slot(now, *found);
}

void RunBoard::on_mirror_failed(Time now, const std::string& name) {
  const auto found = runs_.find(name);
  if (found == runs_.end() || found->second.phase != Phase::kOpening) return;
  Run& run = found->second;
  run.kept = run.keeps = false;
  forget_attempts(run);
  run.not_before = now + kBoardMend;
  if (run.held) return move_to(*found, Phase::kReady);
  free_slot(now, *found);
}

void RunBoard::on_watch(const std::string& name, wire::WatchId watch) {
  const auto found = runs_.find(name);
  if (found == runs_.end() || found->second.phase != Phase::kAsked) return;
  found->second.watch = watch;
  watches_[watch] = name;
}

RunBoard::Runs::value_type* RunBoard::by_watch(wire::WatchId watch) {
  const auto found = watches_.find(watch);
  return found == watches_.end() ? nullptr : &*runs_.find(found->second);
}

std::optional<std::string> RunBoard::on_event(Time now, WallTime wall, const feed::Event& event) {
  Runs::value_type* entry = nullptr;
  const auto of = [this, &entry](const auto& one) {
    entry = by_watch(one.watch);
    return entry != nullptr;
  };
  if (const auto* opened = std::get_if<feed::Opened>(&event); opened && of(*opened)) {
    Run& run = entry->second;
    run.refused = opened->error;
    if (opened->error) {
      const bool replaced = opened->error->kind() == Kind::kChanged;
      run.not_before = now + (replaced ? kBoardRetry : kBoardMend);
      if (replaced) forget_attempts(run);  // what is known of them is of the run before
      free_slot(now, *entry);
    } else {
      move_to(*entry, Phase::kOpen);
      run.site_time = opened->site_time;
      run.opened = run.heard = wall;
    }
  } else if (const auto* took = std::get_if<feed::Took>(&event); took && of(*took)) {
    entry->second.heard = wall;
    if (Attempt* attempt = attempt_of(entry->second, took->attempt)) {
      attempt->recorded = std::max(attempt->recorded, took->next);
      attempt->next = took->next;
      attempt->offset = took->offset;
      for (const run::Point& point : took->points)
        attempt->step = std::max(attempt->step, point.step);
    }
  } else if (const auto* heard = std::get_if<feed::Heard>(&event); heard && of(*heard)) {
    entry->second.heard = wall;
    entry->second.wrote = std::max(entry->second.wrote, heard->wrote);
    if (Attempt* attempt = attempt_of(entry->second, heard->attempt)) {
      attempt->recorded = std::max(attempt->recorded, heard->recorded);
      attempt->told = true;
    }
  } else if (const auto* failed = std::get_if<feed::MirrorFailed>(&event); failed && of(*failed)) {
    entry->second.keeps = false;
    entry->second.not_before = now + kBoardMend;
  }
  if (entry == nullptr) return std::nullopt;
  look_ = true;
  return entry->first;
}

// Mirrors that were read stay so; where a watch went on, what it took says where the next one does.
void RunBoard::on_session_lost(Time now) {
  const std::set<std::string> busy = busy_;
  for (const std::string& name : busy) {
    auto& entry = *runs_.find(name);
    if (entry.second.phase >= Phase::kAsked) move_to(entry, Phase::kIdle);
  }
  for (auto& [name, run] : runs_) run.refused.reset();
  look_ = true;
  pick_at_ = now;
}

void RunBoard::ask(Time now, const std::string& name) {
  if (runs_.size() >= kRunsKnownMax && !runs_.contains(name)) return;
  if (!feed::run_folder(name)) return;  // it would be a path outside ours
  runs_[name].asked_until = now + kAskedFor;
  pick_at_ = now;
}

void RunBoard::hold(Time now, const std::string& name, bool wanted) {
  if (!wanted && !runs_.contains(name)) return;
  Run& run = runs_[name];
  run.held = wanted;
  if (wanted) run.not_before = {};
  look_ = true;
  pick_at_ = now;
}

// Every attempt: one that is missing here may hold everything.
bool RunBoard::complete(const Run& run) {
  if (run.phase != Phase::kOpen || run.beyond) return false;
  std::uint32_t expected = 1;
  for (const auto& [number, attempt] : run.attempts)
    if (number != expected++ || !attempt.told || attempt.next < attempt.recorded) return false;
  return expected > 1;
}

bool RunBoard::due(const Run& run, Time now) {
  if (asked(run, now)) return true;
  return run.line && (run.line->state == wire::RunState::kRunning || run.wrote > run.settled);
}

RunBoard::Runs::iterator RunBoard::best(Time now) {
  const auto rank = [now](const Run& run) {
    const bool works = run.line && run.line->state == wire::RunState::kRunning;
    return std::tuple(run.held, asked(run, now), works, run.wrote);
  };
  auto found = runs_.end();
  for (auto at = runs_.begin(); at != runs_.end(); ++at) {
    const Run& run = at->second;
    if (run.phase != Phase::kIdle || !due(run, now)) continue;
    if (run.not_before > now) {
      if (!pick_at_ || run.not_before < *pick_at_) pick_at_ = run.not_before;
      continue;
    }
    if (found == runs_.end() || rank(run) > rank(found->second)) found = at;
  }
  return found;
}

std::optional<BoardStep> RunBoard::next_of(Time now, Runs::value_type& entry) {
  auto& [name, run] = entry;
  if (run.phase == Phase::kReady) {
    StartWatch start{name, {}, run.keeps};
    for (auto& [number, attempt] : run.attempts) {
      attempt.told = false;
      if (attempt.next > 0) start.have.push_back({number, attempt.next, attempt.offset});
    }
    move_to(entry, Phase::kAsked);
    return start;
  }
  if (run.phase != Phase::kOpen) return std::nullopt;
  const bool whole = complete(run);
  if (whole && run.keeps) run.settled = run.wrote;
  if ((run.keeps || run.held) && (!whole || due(run, now))) return std::nullopt;
  const EndWatch end{name, run.watch};
  free_slot(now, entry);
  return end;
}

std::optional<BoardStep> RunBoard::next(Time now, bool up) {
  if (up && std::exchange(look_, false)) {
    for (const std::string& name : busy_) {
      auto step = next_of(now, *runs_.find(name));
      if (!step) continue;
      look_ = true;
      return step;
    }
  }
  if (pick_at_ && *pick_at_ <= now) return pick(now, up);
  return std::nullopt;
}

std::optional<BoardStep> RunBoard::pick(Time now, bool up) {
  pick_at_.reset();
  const auto found = best(now);
  if (found == runs_.end()) return std::nullopt;
  if (busy_.size() < kWatchesMax) {
    pick_at_ = now;
    move_to(*found, Phase::kOpening);
    return OpenMirror{found->first};
  }
  // For what somebody waits for, one that nobody asked for gives way.
  if (!asked(found->second, now)) return std::nullopt;
  for (const std::string& name : busy_) {
    auto& entry = *runs_.find(name);
    if (asked(entry.second, now)) continue;
    if (up && entry.second.phase == Phase::kOpen) {
      const EndWatch end{name, entry.second.watch};
      free_slot(now, entry);
      return end;
    }
    if (entry.second.phase != Phase::kReady) continue;
    free_slot(now, entry);
    return pick(now, up);
  }
  return std::nullopt;
}

std::optional<Time> RunBoard::next_deadline(bool up) const {
  if (up && look_) return Time{};
  return pick_at_;
}

std::optional<RunMarks> RunBoard::marks(const std::string& name) const {
  const auto found = runs_.find(name);
  if (found == runs_.end()) return std::nullopt;
  const Run& run = found->second;
  RunMarks marks;
  if (!run.attempts.empty()) {
    const auto& [number, attempt] = *run.attempts.rbegin();
    marks.attempt = number;
    marks.recorded = attempt.recorded;
    marks.here = attempt.next;
    marks.complete_step = attempt.step;
  }
  marks.live_step = marks.complete_step;
  if (run.line && run.line->attempts == marks.attempt)
    marks.live_step = std::max(marks.live_step, run.line->last_step);
  marks.kept = run.kept;
  marks.watched = run.phase == Phase::kOpen && run.keeps;
  marks.complete = run.keeps && complete(run);
  marks.wrote = run.wrote;
  marks.heard = run.heard;
  return marks;
}

const std::optional<Error>* RunBoard::refusal(const std::string& name) const {
  const auto found = runs_.find(name);
  return found == runs_.end() ? nullptr : &found->second.refused;
}

std::optional<RunBoard::OpenWatch> RunBoard::open_watch(const std::string& name) const {
  const auto found = runs_.find(name);
  if (found == runs_.end() || found->second.phase != Phase::kOpen) return std::nullopt;
  const Run& run = found->second;
  return OpenWatch{run.watch, run.site_time, run.opened, complete(run)};
}

bool RunBoard::is_listed(const std::string& name) const {
  const auto found = runs_.find(name);
  return found != runs_.end() && found->second.line.has_value();
}

std::vector<std::string> RunBoard::names() const {
  std::vector<std::string> names;
  for (const auto& [name, run] : runs_) names.push_back(name);
  return names;
}

std::size_t RunBoard::watched() const {
  return watches_.size();
}

}  // namespace longhaul::daemon
