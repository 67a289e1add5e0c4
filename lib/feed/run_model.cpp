#include "lib/feed/run_model.hpp"

#include <algorithm>

namespace longhaul::feed {

void RunModel::move_on(std::uint32_t attempt) {
  if (attempt <= newest_attempt()) return;
  attempts_[attempt];
  live_step_ = complete_step_ = 0;
}

std::string RunModel::name_of(std::uint32_t attempt, run::SeriesId series) const {
  const auto found = attempts_.find(attempt);
  if (found == attempts_.end()) return {};
  const auto name = found->second.names.find(series);
  return name == found->second.names.end() ? std::string() : name->second;
}

void RunModel::on_entry(std::uint32_t attempt, const run::LogEntry& entry) {
  AttemptView& view = attempts_[attempt];
  if (const auto* start = std::get_if<run::Start>(&entry.record)) {
    view.began = start->at;
    view.host = start->host;
    view.config = start->config;
  } else if (const auto* name = std::get_if<run::NameSeries>(&entry.record)) {
    view.names[name->id] = name->name;
    const auto waiting = unnamed_.find({attempt, name->id});
    if (waiting == unnamed_.end()) return;
    const Newest newest = waiting->second;
    unnamed_.erase(waiting);
    see(attempt, name->id, newest);
  } else if (const auto* event = std::get_if<run::RunEvent>(&entry.record)) {
    const Mark mark{attempt, entry.number, *event};
    const bool is_new = marks_.insert_or_assign({attempt, entry.number}, mark).second;
    if (is_new && new_marks_.size() < kMarksMax) new_marks_.push_back(mark);
    if (marks_.size() > kMarksMax) marks_.erase(marks_.begin());
  } else if (const auto* drops = std::get_if<run::Drops>(&entry.record)) {
    view.dropped = std::max(view.dropped, drops->points);
  } else if (const auto* end = std::get_if<run::End>(&entry.record)) {
    view.ended = true;
    view.why = end->why;
  }
}

void RunModel::see(std::uint32_t attempt, run::SeriesId series, const Newest& newest) {
  if (attempt == newest_attempt()) live_step_ = std::max(live_step_, newest.step);
  const std::string name = name_of(attempt, series);
  if (name.empty()) {
    unnamed_[{attempt, series}] = newest;
    return;
  }
  SeriesView& view = series_[name];
  if (newest.passes(view.newest)) view.newest = newest;
}

void RunModel::on_took(const Took& took) {
  move_on(took.attempt);
  for (const run::LogEntry& entry : took.entries) on_entry(took.attempt, entry);
  AttemptView& view = attempts_[took.attempt];
  view.lost += took.first - took.after;
  view.next = took.next;
  view.recorded = std::max(view.recorded, took.next);
  // Points of one series mostly stand apart: the name is looked up once a series.
  std::map<run::SeriesId, SeriesView*> known;
  for (const run::Point& point : took.points) {
    auto& to = known[point.series];
    if (to == nullptr) {
      const std::string name = name_of(took.attempt, point.series);
      if (name.empty()) continue;  // its name rotted
      to = &series_[name];
    }
    ++to->points;
    const Newest newest{took.attempt, point.step, point.value, point.at};
    if (newest.passes(to->newest)) to->newest = newest;
    if (took.attempt < to->attempt) continue;
    to->attempt = took.attempt;
    to->curve.append(point.step, point.value);
    if (took.attempt == newest_attempt()) {
      complete_step_ = std::max(complete_step_, point.step);
      live_step_ = std::max(live_step_, point.step);
    }
  }
}

void RunModel::on_heard(const Heard& heard) {
  move_on(heard.attempt);
  if (heard.attempt == newest_attempt()) wrote_ = heard.wrote;
  for (const run::LogEntry& entry : heard.entries) on_entry(heard.attempt, entry);
  AttemptView& view = attempts_[heard.attempt];
  view.told = true;
  view.recorded = std::max(view.recorded, heard.recorded);
}

void RunModel::on_fresh(const Fresh& fresh) {
  move_on(fresh.attempt);
  AttemptView& view = attempts_[fresh.attempt];
  view.recorded = std::max(view.recorded, fresh.recorded);
  for (const wire::LiveValue& value : fresh.values)
    see(fresh.attempt, run::SeriesId(value.series),
        {fresh.attempt, value.step, value.value, value.at});
}

bool RunModel::complete() const {
  std::uint32_t expected = 1;  // all of them: one that is missing here may hold everything
  for (const auto& [attempt, view] : attempts_)
    if (attempt != expected++ || !view.told || view.next < view.recorded) return false;
  return expected > 1;
}

}  // namespace longhaul::feed
