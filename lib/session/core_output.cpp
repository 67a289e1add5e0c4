// What is sent, in which order, over which path. A path is asked when its kernel has room; it takes
// answers and control first, then the most urgent fragment of the lanes it carries.
#include <algorithm>

#include "lib/session/core.hpp"

namespace longhaul::session {

namespace {
constexpr std::size_t kBatchBytes = 64U << 10;   // sealed at a time, while nothing can overtake
constexpr std::int64_t kBudgetLeast = 32 << 10;  // a burst below a frame would never go
constexpr Duration kBudgetSpan = 10ms;
// Of data behind a Hello, until it is answered: more than a first flight of 10 packets, and with
// the handshake less than a stranger may send (auth::AdmissionLimits).
constexpr std::uint64_t kEarlyBytes = 32U << 10;
}  // namespace

// Of the connections together; zero: none.
BytesPerSecond Core::cap() const {
  BytesPerSecond least;
  for (const BytesPerSecond one : {limit_, rate_.cap(), choice_.stream_cap()})
    if (one.value() > 0 && (least.value() == 0 || one < least)) least = one;
  return least;
}

void Core::refill_budget() {
  const BytesPerSecond rate = cap();
  if (rate.value() == 0) {  // what was sent without a cap is no debt
    budget_ = kBudgetLeast;
    budget_since_ = now_;
    return;
  }
  const auto most = std::max<std::int64_t>(
      kBudgetLeast, static_cast<std::int64_t>(rate.bytes_in(kBudgetSpan).value()));
  const Duration since = std::min<Duration>(now_ - budget_since_, 1s);
  const std::uint64_t earned = rate.bytes_in(since).value();
  if (earned == 0 && budget_ < most) return;  // keep the fraction
  budget_since_ = now_;
  budget_ = std::min(most, budget_ + static_cast<std::int64_t>(earned));
}

Time Core::budget_at() const {
  const std::int64_t lacking = 1 - budget_;
  return budget_since_ +
         std::max<Duration>(1ms, cap().time_for(ByteCount(static_cast<std::uint64_t>(
                                     std::max<std::int64_t>(lacking, 1)))));
}

std::optional<Output> Core::poll_output() {
  for (;;) {
    if (!outputs_.empty()) return outputs_.pop();
    if (ended_) return std::nullopt;
    if (auto datagrams = next_datagrams()) return datagrams;
    if (auto write = next_write()) return write;
    if (!services_due_) return std::nullopt;
    ask_services();
  }
}

std::optional<Output> Core::next_write() {
  refill_budget();
  for (const PathRole role : {PathRole::kControl, PathRole::kBulk}) {
    for (const auto& path : paths_) {
      if (path->role != role || path->stream == nullptr) continue;
      if (path->open() && path->stream->output_bytes() == 0) compose(*path);
      Slice bytes = path->stream->take_output();
      if (bytes.empty()) continue;
      path->wrote(bytes.size());
      return Write{path->id, std::move(bytes)};
    }
  }
  return std::nullopt;
}

LaneSet Core::lanes_of(const Path& path) const {
  if (path.retiring || !path.alive(now_)) return 0;
  if (!path.accepted && path.in_flight.bytes() >= kEarlyBytes) return 0;
  if (!choice_.streams()) return 0;  // datagrams carry all of it
  LaneSet lanes = 0;
  if (path.role == PathRole::kControl) {
    if (!paths_.any_bulk(now_)) lanes = kDeadlineLanes | kBulkLanes;
    if (paths_.freshest(now_) == &path) lanes |= only(Lane::kLive);
  } else {
    lanes = kUrgentLanes | kBulkLanes;
    if (paths_.count(now_, PathRole::kControl).open > 0) lanes = kBulkLanes | kDeadlineLanes;
  }
  if (over_budget()) lanes &= only(Lane::kLive);
  return lanes;
}

// No more than a little beyond what its socket is to hold.
std::uint32_t Core::fragment_most(const Path& path) {
  if (!path.tuned.has_value()) return wire::kFragmentMax;
  return std::min<std::uint32_t>(2 * path.tuned->unsent_max_bytes, wire::kFragmentMax);
}

void Core::compose(Path& path) {
  compose_urgent(path);
  const LaneSet lanes = lanes_of(path);
  if (lanes == 0) return;
  const std::size_t batch = path.accepted ? kBatchBytes : kEarlyBytes / 2;
  while (path.writable > path.stream->output_bytes() && path.stream->output_bytes() < batch) {
    const LaneSet may = over_budget() ? static_cast<LaneSet>(lanes & only(Lane::kLive)) : lanes;
    const auto fragment = messages_.next_fragment(now_, may, fragment_most(path));
    if (!fragment.has_value()) {
      // Unless it was just taken, and services are about to be asked for more.
      if (!over_budget() && (lanes & kBulkLanes) != 0 && !services_due_) starved_ = true;
      return;
    }
    path.stream->send(wire::FrameType::kData, messages_.frame_of(*fragment));
    path.in_flight.push(*fragment);
    budget_ -= static_cast<std::int64_t>(fragment->bytes);
    services_due_ = true;  // there is room in a lane
  }
}

void Core::compose_urgent(Path& path) {
  if (!path.takes_urgent()) return;
  if (path.pong_due.has_value()) {
    path.stream->send(wire::FrameType::kPong, wire::Pong{*path.pong_due});
    path.pong_due.reset();
  }
  if (path.heart.ping_at() <= now_) {
    path.stream->send(wire::FrameType::kPing, wire::Ping{path.heart.ping(now_)});
  }
  if (path.ack_at.has_value() && *path.ack_at <= now_) send_ack(path);
  compose_control(path);
}

void Core::send_ack(Path& path) {
  wire::Ack ack;
  ack.data_frames = path.frames_in;
  ack.control_next = messages_.control_next();
  ack.credit = messages_.credit(held());
  advertised_ = ack.credit;
  path.stream->send(wire::FrameType::kAck, ack);
  path.frames_acked = path.frames_in;
  path.bytes_owed = 0;
  path.ack_at.reset();
}

// The leading carrier sends every message once. The others repeat what is not acknowledged while
// the link loses packets, or while nobody can tell us whether it does: within its share.
void Core::compose_control(Path& path) {
  const ControlSender& control = messages_.control();
  path.control_next = std::max(path.control_next, control.acked());
  if (control.at(path.control_next) == nullptr) return;  // of most of the time; the rest costs more
  const bool leads = paths_.carrier(now_, 0) == &path;
  bool carries = false;
  for (std::size_t n = 1; n < kControlPathsLossy; ++n) carries |= paths_.carrier(now_, n) == &path;
  const bool repeats = !leads && carries && (now_ < lossy_until_ || !knows_loss_) &&
                       repeats_.allows(now_, acked_bytes_);
  if (!leads && !repeats) return;
  while (path.stream->output_bytes() < kOverdraftMax + path.writable) {
    const ControlSender::Numbered* message = control.at(path.control_next);
    if (message == nullptr) return;
    wire::Control frame;
    frame.number = path.control_next++;
    frame.service = message->service.value();
    frame.body = message->body;
    path.stream->send(wire::FrameType::kControl, frame);
    if (repeats) repeats_.spend(message->body.size());
    services_due_ = true;
  }
}

}  // namespace longhaul::session
