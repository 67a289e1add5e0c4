#include "lib/session/messages.hpp"

#include <algorithm>

namespace longhaul::session {

namespace {
constexpr std::size_t kStartedMax = 16;  // messages of one lane that have overtaken each other
constexpr std::array kDataLanes = {Lane::kLive, Lane::kUpdate, Lane::kDemand, Lane::kBulk,
                                   Lane::kBackfill};
bool by_deadline(Lane lane) {
  return lane == Lane::kUpdate || lane == Lane::kDemand;
}
}  // namespace

Messages::Messages(std::size_t window_bytes, std::size_t services, BufferPool& pool)
    : lanes_{LaneState(Lane::kControl), LaneState(Lane::kLive), LaneState(Lane::kUpdate),
             LaneState(Lane::kDemand),  LaneState(Lane::kBulk), LaneState(Lane::kBackfill)},
      inbox_(std::max<std::size_t>(window_bytes, kInitialCredit), services, pool),
      control_in_(services, pool) {
  for (LaneState& state : lanes_) state.started.reserve(kStartedMax);
}

Room Messages::room() const {
  Room room;
  room.bytes[static_cast<std::size_t>(Lane::kControl)] = control_out_.room();
  for (Lane which : kDataLanes) {
    const LaneState& state = lane(which);
    const std::size_t most = queue_most(which);
    const std::size_t count_max = which == Lane::kLive ? kLiveKeysMax : kLaneMessagesMax;
    const std::size_t used = state.queue.bytes() + state.unsent_bytes;
    if (used < most && state.queue.size() < count_max) {
      room.bytes[static_cast<std::size_t>(which)] = most - used;
    }
  }
  return room;
}

std::size_t Messages::queue_most(Lane which) const {
  const std::size_t most = lane_queue_bytes(which);
  if (which != Lane::kBulk) return most;
  const std::uint64_t waits = rate_.bytes_in(kBulkWaitMax).value();
  return static_cast<std::size_t>(std::clamp<std::uint64_t>(waits, kBulkQueueLeast, most));
}

void Messages::post(ServiceId service, Message message) {
  ASSERT(!message.body.empty() && message.body.size() <= kMessageMax);
  if (message.lane == Lane::kControl) {
    sent_[0] += message.body.size();
    control_out_.push(service, std::move(message.body));
    return;
  }
  LaneState& state = lane(message.lane);
  state.queue.push(service, std::move(message), rate_);
}

void Messages::set_link(Duration rtt, BytesPerSecond rate) {
  rate_ = rate;
  scheduler_.set_link(rtt, rate);
}

bool Messages::may_open(const LaneState& state, Lane which) const {
  if (state.queue.empty() || state.started.size() >= kStartedMax || !outbox_.has_number()) {
    return false;
  }
  if (outbox_.held_bytes() >= kUnackedMax) return false;
  const bool urgent = (kUrgentLanes & only(which)) != 0;
  const std::uint64_t after = outbox_.opened_cost() + cost_of(state.queue.front().body.size()) +
                              (urgent ? 0 : kUrgentReserve);
  return after <= credit_;
}

// A message that is begun is finished first, unless one with less slack has come.
bool Messages::should_open(const LaneState& state, Lane which) const {
  if (!may_open(state, which)) return false;
  if (state.started.empty()) return true;
  return by_deadline(which) &&
         state.queue.front().start_by < outbox_.at(state.started.back()).start_by;
}

Scheduler::Offer Messages::offer_of(Lane which) const {
  const LaneState& state = lane(which);
  Scheduler::Offer offer;
  if (!state.lost.empty()) {
    offer.ready = true;
    offer.start_by = outbox_.at(state.lost.front().message).start_by;
  }
  if (!state.started.empty()) {
    offer.ready = true;
    offer.start_by = std::min(offer.start_by, outbox_.at(state.started.back()).start_by);
  }
  if (should_open(state, which)) {
    offer.ready = true;
    offer.start_by = std::min(offer.start_by, state.queue.front().start_by);
  }
  return offer;
}

bool Messages::has_work(LaneSet lanes) const {
  for (Lane which : kDataLanes) {
    if ((lanes & only(which)) != 0 && offer_of(which).ready) return true;
  }
  return false;
}

bool Messages::waits_for_credit() const {
  for (Lane which : kDataLanes) {
    const LaneState& state = lane(which);
    if (!state.queue.empty() && state.started.empty() && !may_open(state, which)) return true;
  }
  return false;
}

std::optional<Time> Messages::live_at(Time now) const {
  if (!offer_of(Lane::kLive).ready) return std::nullopt;
  return scheduler_.live_at(now);
}

std::optional<Fragment> Messages::next_fragment(Time now, LaneSet lanes, std::uint32_t bytes_max) {
  ASSERT(bytes_max >= kUnitBytes);
  Scheduler::Offers offers;
  for (Lane which : kDataLanes) offers[static_cast<std::size_t>(which)] = offer_of(which);
  const std::optional<Lane> which = scheduler_.pick(now, offers, lanes);
  if (!which.has_value()) return std::nullopt;
  LaneState& state = lane(*which);
  const Fragment fragment =
      state.lost.empty() ? take_new(state, *which, bytes_max) : take_lost(state, bytes_max);
  scheduler_.on_sent(now, *which, fragment.bytes);
  sent_[static_cast<std::size_t>(*which)] += fragment.bytes;
  return fragment;
}

Fragment Messages::take_lost(LaneState& state, std::uint32_t bytes_max) {
  Fragment fragment = state.lost.pop();
  if (fragment.bytes <= bytes_max) return fragment;
  const std::uint32_t now_bytes = bytes_max - bytes_max % kUnitBytes;
  Fragment rest = fragment;
  rest.offset += now_bytes;
  rest.bytes -= now_bytes;
  state.lost.push_front(rest);
  fragment.bytes = now_bytes;
  return fragment;
}

Fragment Messages::take_new(LaneState& state, Lane which, std::uint32_t bytes_max) {
  if (should_open(state, which)) {
    Waiting waiting = state.queue.pop();
    state.unsent_bytes += waiting.body.size();
    state.started.push_back(outbox_.open(which, waiting.service, waiting.key, waiting.start_by,
                                         std::move(waiting.body)));
  }
  const MessageId id = state.started.back();
  const Fragment fragment = outbox_.advance(id, bytes_max);
  state.unsent_bytes -= fragment.bytes;
  if (outbox_.at(id).next == outbox_.at(id).body.size()) state.started.pop_back();
  return fragment;
}

wire::Data Messages::frame_of(const Fragment& fragment) const {
  const Outbox::Open& open = outbox_.at(fragment.message);
  wire::Data data;
  data.message = fragment.message.value();
  data.offset = fragment.offset;
  data.total = static_cast<std::uint32_t>(open.body.size());
  data.lane = static_cast<std::uint8_t>(open.lane);
  data.service = open.service.value();
  data.key = open.key;
  data.payload = open.body.part(fragment.offset, fragment.bytes);
  return data;
}

void Messages::on_lost(const Fragment& fragment) {
  lane(fragment.lane).lost.push(fragment);
}

Result<> Messages::on_data(const wire::Data& data) {
  auto whole = TRY(inbox_.on_data(data));
  if (whole.has_value()) arrive(std::move(*whole));
  return {};
}

Result<> Messages::on_control(const wire::Control& control) {
  TRY(control_in_.on_control(control));
  while (auto message = control_in_.take()) {
    arrive(Arrived{Lane::kControl, message->service, std::move(message->body)});
  }
  return {};
}

void Messages::arrive(Arrived arrived) {
  received_[static_cast<std::size_t>(arrived.lane)] += arrived.body.size();
  arrived_.push(std::move(arrived));
}

std::optional<Arrived> Messages::take() {
  if (arrived_.empty()) return std::nullopt;
  return arrived_.pop();
}

std::uint64_t Messages::queued_bytes() const {
  std::uint64_t bytes = 0;
  for (Lane which : kDataLanes) bytes += lane(which).queue.bytes() + lane(which).unsent_bytes;
  return bytes;
}

void Messages::clear() {
  for (LaneState& state : lanes_) {
    state.queue.clear();
    state.started.clear();
    state.lost.clear();
    state.unsent_bytes = 0;
  }
  control_out_.clear();
  outbox_.clear();
  arrived_.clear();
}

void Messages::check() const {
  for (Lane which : kDataLanes) {
    const LaneState& state = lane(which);
    state.queue.check();
    std::size_t unsent = 0;
    for (MessageId id : state.started) unsent += outbox_.at(id).body.size() - outbox_.at(id).next;
    ASSERT(unsent == state.unsent_bytes);
  }
  control_out_.check();
  outbox_.check();
  inbox_.check();
}

}  // namespace longhaul::session
