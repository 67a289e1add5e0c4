#include "lib/session/outbox.hpp"

#include <algorithm>

namespace longhaul::session {

MessageId Outbox::open(Lane lane, ServiceId service, std::uint64_t key, Time start_by, Slice body) {
  ASSERT(has_number());
  ASSERT(!body.empty() && body.size() <= kMessageMax);
  Open open;
  open.key = key;
  open.start_by = start_by;
  open.unacked = static_cast<std::uint32_t>(body.size());
  open.service = service;
  open.lane = lane;
  opened_cost_ += cost_of(body.size());
  held_bytes_ += body.size();
  open.body = std::move(body);
  const MessageId id(floor_.value() + open_.size());
  open_.push(std::move(open));
  return id;
}

Outbox::Open& Outbox::slot(MessageId id) {
  ASSERT(id >= floor_ && id.value() - floor_.value() < open_.size());
  return open_[id.value() - floor_.value()];
}

const Outbox::Open& Outbox::at(MessageId id) const {
  ASSERT(id >= floor_ && id.value() - floor_.value() < open_.size());
  return open_[id.value() - floor_.value()];
}

Fragment Outbox::advance(MessageId id, std::uint32_t bytes_max) {
  Open& open = slot(id);
  const std::uint32_t left = static_cast<std::uint32_t>(open.body.size()) - open.next;
  std::uint32_t bytes = std::min(left, bytes_max);
  if (bytes < left) bytes -= bytes % kUnitBytes;
  ASSERT(bytes > 0);
  const Fragment fragment{id, open.next, bytes, open.lane};
  open.next += bytes;
  return fragment;
}

void Outbox::on_acked(const Fragment& fragment) {
  Open& open = slot(fragment.message);
  ASSERT(open.unacked >= fragment.bytes);
  open.unacked -= fragment.bytes;
  if (open.unacked > 0) return;
  held_bytes_ -= open.body.size();
  open.body = {};
  while (!open_.empty() && open_.front().unacked == 0) {
    open_.pop();
    floor_ = floor_.next();
  }
}

void Outbox::clear() {
  open_.clear();
  held_bytes_ = 0;
}

void Outbox::check() const {
  std::uint64_t held = 0;
  for (std::size_t i = 0; i < open_.size(); ++i) {
    const Open& open = open_[i];
    held += open.body.size();
    ASSERT(open.unacked == 0 ? open.body.empty() : open.unacked <= open.body.size());
    ASSERT(open.unacked == 0 || open.next <= open.body.size());
  }
  ASSERT(held == held_bytes_);
  ASSERT(open_.empty() || open_.front().unacked > 0);
}

}  // namespace longhaul::session
