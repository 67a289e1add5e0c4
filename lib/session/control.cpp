#include "lib/session/control.hpp"

#include <cstring>

#include "lib/session/lane.hpp"

namespace longhaul::session {

void ControlSender::push(ServiceId service, Slice body) {
  ASSERT(!body.empty() && body.size() <= kControlMessageMax);
  bytes_ += body.size();
  kept_.push(Numbered{service, std::move(body)});
}

std::size_t ControlSender::room() const {
  const std::size_t most = lane_queue_bytes(Lane::kControl);
  if (kept_.size() >= kLaneMessagesMax || bytes_ >= most) return 0;
  return most - bytes_;
}

const ControlSender::Numbered* ControlSender::at(std::uint64_t number) const {
  if (number < acked_ || number - acked_ >= kept_.size()) return nullptr;
  if (number - acked_ >= kControlAhead) return nullptr;  // the receiver has no place for it yet
  return &kept_[number - acked_];
}

Result<> ControlSender::on_acked(std::uint64_t next) {
  if (next > acked_ + kept_.size()) {
    return fail(Kind::kMalformed, "take an acknowledgement", "of control that was never sent");
  }
  while (acked_ < next) {
    bytes_ -= kept_.pop().body.size();
    ++acked_;
  }
  return {};
}

void ControlSender::clear() {
  kept_.clear();
  bytes_ = 0;
}

void ControlSender::check() const {
  std::size_t bytes = 0;
  for (std::size_t i = 0; i < kept_.size(); ++i) bytes += kept_[i].body.size();
  ASSERT(bytes == bytes_);
}

Result<> ControlReceiver::on_control(const wire::Control& control) {
  if (control.service >= services_) {
    return fail(Kind::kUnsupported, "take a control message", "no such service");
  }
  if (control.body.empty()) return fail(Kind::kMalformed, "take a control message", "it is empty");
  if (control.number < next_) {
    ++duplicates_;
    return {};
  }
  if (control.number - next_ >= kControlAhead) {
    return fail(Kind::kLimit, "take a control message", "numbered too far ahead");
  }
  auto& place = waiting_[control.number % kControlAhead];
  if (place.has_value()) {
    ++duplicates_;
    return {};
  }
  // A copy: at most 1 KiB, and it must not keep a record of 16 KiB alive.
  Buffer copy = pool_.take(control.body.size());
  std::memcpy(copy.bytes().data(), control.body.data(), control.body.size());
  place = ControlSender::Numbered{ServiceId(control.service),
                                  std::move(copy).freeze(control.body.size())};
  return {};
}

std::optional<ControlSender::Numbered> ControlReceiver::take() {
  auto& place = waiting_[next_ % kControlAhead];
  if (!place.has_value()) return std::nullopt;
  auto out = std::exchange(place, std::nullopt);
  ++next_;
  return out;
}

}  // namespace longhaul::session
