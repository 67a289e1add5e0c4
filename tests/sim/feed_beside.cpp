#include "tests/sim/feed_beside.hpp"

namespace longhaul::test {

FeedBeside::FeedBeside(SessionWorld& net, store::Files& disk)
    : net_(net), disk_(disk), log_(disk, "r", 1) {
  log_.name(0, "loss");
  while (step_ < kPast) log_.step(step_++);
  net.site.make_second = [this]() -> session::Service& { return feeder(); };
  net.laptop.make_second = [this]() -> session::Service& { return viewer(); };
}

session::Service& FeedBeside::feeder() {
  feed::FeederOptions options;
  options.who = "ana";
  options.wall = [this] { return wall(); };
  feeders_.push_back(std::make_unique<feed::Feeder>(disk_, options));
  return *feeders_.back();
}

// Each session of the laptop goes on where the one before was.
session::Service& FeedBeside::viewer() {
  viewers_.push_back(std::make_unique<feed::Viewer>());
  feed::Viewer::WatchOptions options;
  options.run = "r";
  if (have_.next > 0) options.have = {have_};
  watch_ = viewers_.back()->watch(net_.laptop.clock(), options, nullptr);
  return *viewers_.back();
}

void FeedBeside::start() {
  tick();
}

void FeedBeside::tick() {
  if (step_ < kSteps) log_.step(step_++);
  applied_ += log_.obey(disk_, book_, wall(), step_);
  if (step_ == kSteps && applied_ > 0) return;
  net_.wan.clock().after(kStepTime, [this] { tick(); });
}

void FeedBeside::steer() {
  wire::Steer command;
  command.watch = watch_;
  command.id = {7};
  command.kind = static_cast<std::uint8_t>(run::CommandKind::kSet);
  command.name = "lr";
  command.value = 0.5;
  viewers_.back()->steer(net_.laptop.clock(), command);
  net_.laptop.drain();
}

void FeedBeside::hear() {
  bool opened = false;
  while (auto event = viewers_.back()->poll_event()) {
    if (const auto* open = std::get_if<feed::Opened>(&*event)) {
      // One that a lost session leaves behind is begun again with the next.
      if (open->error && open->error->kind() != Kind::kLink) wrong_ = open->error->message();
      opened = !open->error;
    } else if (const auto* took = std::get_if<feed::Took>(&*event)) {
      if (took->after != have_.next || took->first != took->after) wrong_ = "history has a gap";
      have_ = {took->attempt, took->next, took->offset};
      for (const run::Point& point : took->points)
        if (point.step != points_++) wrong_ = "a point came twice, or never";
    } else if (const auto* fresh = std::get_if<feed::Fresh>(&*event)) {
      newest_ = std::max(newest_, fresh->values.at(0).step);
    } else if (const auto* steered = std::get_if<wire::Steered>(&*event)) {
      if (steered->state != wire::SteerState::kReceived) verdicts_.push_back(*steered);
    } else if (const auto* broken = std::get_if<feed::FeedBroken>(&*event)) {
      wrong_ = broken->why.message();
    }
  }
  if (opened && verdicts_.empty()) steer();
}

bool FeedBeside::done() const {
  return !wrong_.empty() || (points_ == kSteps && !verdicts_.empty() && newest_ + 1 == kSteps);
}

std::string FeedBeside::judge() const {
  if (!wrong_.empty()) return "the feed: " + wrong_;
  if (points_ != kSteps) return "the feed: " + std::to_string(points_) + " points came";
  if (newest_ + 1 != kSteps) return "the feed: the newest value never came";
  if (applied_ != 1) return "the command took effect " + std::to_string(applied_) + " times";
  for (const wire::Steered& verdict : verdicts_)
    if (verdict.state != wire::SteerState::kApplied || verdict.step != verdicts_[0].step)
      return "the command's verdict is wrong";
  return verdicts_.empty() ? "nobody said what became of the command" : "";
}

}  // namespace longhaul::test
