#include "lib/probe/quiet_port.hpp"

#include <algorithm>

namespace longhaul::probe {

void QuietPort::begin(Time now, const datagram::Address& site) {
  ASSERT(!began_);
  site_ = site;
  began_ = next_ = now;
}

Time QuietPort::over_at() const {
  if (asks_ < kCopies) return *began_ + kGreeting + kPatience;
  return asked_at_ + silence_ + rtt_ + kPatience;
}

bool QuietPort::over(Time now) {
  if (outcome_ == Outcome::kPending && began_) {
    if (!answered_ && now >= over_at()) outcome_ = Outcome::kUnanswered;
    if (asks_ == kCopies && now >= over_at()) outcome_ = Outcome::kForgotten;
  }
  return outcome_ != Outcome::kPending;
}

std::optional<datagram::ConnectionId> QuietPort::receive_id() const {
  if (!began_ || outcome_ != Outcome::kPending) return std::nullopt;
  return sealing_.receive_id();
}

void QuietPort::on_datagrams(Time now, const datagram::Address&, const Slice& in,
                             std::size_t each_bytes, Duration ago) {
  const std::size_t each = each_bytes == 0 ? in.size() : each_bytes;
  for (std::size_t at = 0; at < in.size(); at += each) {
    const Bytes one = in.bytes().subspan(at, std::min(each, in.size() - at));
    const auto packet = sealing_.open(now, one);
    if (!packet || packet->type != PacketType::kAnswer) continue;
    const std::uint32_t number = packet->number - first_number_;
    if (number >= kPacketsMax || outcome_ != Outcome::kPending) continue;
    if (number >= kPacketsMax - kCopies) {
      if (asks_ > 0) outcome_ = Outcome::kRemembered;
    } else if (number < greetings_) {
      answered_ = true;
      const Duration rtt = now - ago - greeted_at_[number];
      if (rtt_ == Duration{} || rtt < rtt_) rtt_ = rtt;
    }
  }
}

std::optional<Time> QuietPort::next_send(Time) const {
  if (!began_ || asked()) return std::nullopt;
  return next_;
}

std::optional<Batch> QuietPort::poll_batch(Time now) {
  if (!next_send(now) || now < next_) return std::nullopt;
  Packet packet;
  packet.type = PacketType::kLater;
  packet.sent_us = static_cast<std::uint64_t>((now - *began_) / 1us);
  if (now < *began_ + kGreeting) {
    packet.number = first_number_ + greetings_;
    greeted_at_[greetings_++] = now;
    next_ = std::min(now + kGreetPause, *began_ + kGreeting);
    if (greetings_ == kPacketsMax - kCopies) next_ = *began_ + kGreeting;
  } else {
    if (!answered_) {  // it may be on its way still
      next_ = now + kCopyPause;
      return std::nullopt;
    }
    packet.number = first_number_ + kPacketsMax - kCopies + asks_++;
    packet.after_ms = static_cast<std::uint32_t>(silence_ / 1ms);
    asked_at_ = now;
    next_ = now + kCopyPause;
  }
  return Batch{site_, sealing_.seal(now, std::span(&packet, 1), kPacketBytesMin), kPacketBytesMin};
}

}  // namespace longhaul::probe
