#include "lib/probe/filler.hpp"

#include <algorithm>
#include <utility>

namespace longhaul::probe {

session::Message fill_message(wire::ProbeId probe, std::uint64_t total, std::uint64_t* left) {
  wire::ProbeFill fill;
  fill.probe = probe;
  fill.total = total;
  const auto bytes = static_cast<std::size_t>(std::min<std::uint64_t>(*left, wire::kFillMax));
  fill.bytes.assign(bytes, std::byte{0});
  *left -= bytes;
  session::Message out;
  out.lane = session::Lane::kBulk;
  out.body = Slice::copy_of(wire::encode(wire::ProbeMessage(fill)));
  return out;
}

void Filler::say(const wire::ProbeMessage& message) {
  queued_.push_back(Slice::copy_of(wire::encode(message)));
}

void Filler::start(Time now) {
  ASSERT(stage_ == Stage::kWaiting && options_.bytes > 0);
  wire::ProbeOpen open;
  open.probe = kTheProbe;
  open.budget_bytes = 2 * options_.bytes;
  say(open);
  enter(now, Stage::kOpening);
}

void Filler::enter(Time now, Stage stage) {
  stage_ = stage;
  since_ = now;
  to_send_ = stage == Stage::kUp ? options_.bytes : 0;
  if (stage == Stage::kDown) say(wire::ProbeFetch{kTheProbe, options_.bytes});
  if (stage == Stage::kDone) say(wire::ProbeStop{kTheProbe});
}

void Filler::on_message(Time now, session::Lane, Slice message) {
  const auto decoded = wire::decode<wire::ProbeMessage>(message);
  if (!decoded) {
    error_ = decoded.error();
    return enter(now, Stage::kDone);
  }
  if (const auto* opened = std::get_if<wire::ProbeOpened>(&*decoded)) {
    if (stage_ != Stage::kOpening) return;
    if (!opened->failed && opened->budget_bytes >= 2 * options_.bytes)
      return enter(now, Stage::kUp);
    const std::string why = opened->failed ? std::string(opened->text) : "it allows fewer bytes";
    error_ = Error(opened->failed.value_or(Kind::kLimit), "compare the ways to the site", why);
    enter(now, Stage::kDone);
  } else if (std::holds_alternative<wire::ProbeFilled>(*decoded)) {
    if (stage_ != Stage::kUp) return;
    up_ = now - since_;
    enter(now, Stage::kDown);
  } else if (const auto* fill = std::get_if<wire::ProbeFill>(&*decoded)) {
    if (stage_ != Stage::kDown) return;
    came_ += fill->bytes.size();
    if (came_ < options_.bytes) return;
    down_ = now - since_;
    enter(now, Stage::kDone);
  }
}

void Filler::on_deadline(Time now) {
  const auto due = next_deadline();
  if (!due || now < *due) return;
  if (stage_ == Stage::kOpening)
    error_ = Error(Kind::kTimeout, "compare the ways to the site", "it does not answer");
  // What was begun up is still under way: what came down now would say nothing.
  enter(now, Stage::kDone);
}

std::optional<Time> Filler::next_deadline() const {
  if (stage_ == Stage::kWaiting || stage_ == Stage::kDone) return std::nullopt;
  return since_ + (stage_ == Stage::kOpening ? kOpenPatience : options_.patience);
}

void Filler::on_end(Time, const Error& why) {
  if (finished()) return;
  error_ = why;
  stage_ = Stage::kDone;
  queued_.clear();
}

std::optional<session::ServiceOutput> Filler::poll_output(Time, const session::Room& room) {
  if (!queued_.empty() && room.in(session::Lane::kControl)) {
    session::Message out;
    out.lane = session::Lane::kControl;
    out.body = std::move(queued_.front());
    queued_.pop_front();
    return out;
  }
  if (to_send_ == 0 || !room.in(session::Lane::kBulk)) return std::nullopt;
  return fill_message(kTheProbe, options_.bytes, &to_send_);
}

void Filler::check() const {
  ASSERT(to_send_ == 0 || stage_ == Stage::kUp);
  ASSERT(to_send_ <= options_.bytes);
}

}  // namespace longhaul::probe
