#include "lib/session/inbox.hpp"

#include <algorithm>
#include <cstring>

namespace longhaul::session {

namespace {
// A message that came in one fragment is passed on without a copy, unless it would keep alive a
// buffer much larger than itself.
constexpr std::size_t kShareFromBytes = 4096;

std::uint32_t units_of(std::uint32_t bytes) {
  return (bytes + kUnitBytes - 1) / kUnitBytes;
}
}  // namespace

Inbox::Inbox(std::size_t window_bytes, std::size_t services, BufferPool& pool)
    : window_bytes_(window_bytes), services_(services), pool_(pool), limit_(window_bytes) {}

std::uint64_t Inbox::limit(std::size_t held_bytes) {
  const std::uint64_t most = delivered_cost_ + window_bytes_;
  limit_ = std::max(limit_, most - std::min<std::uint64_t>(most, held_bytes));
  return limit_;
}

Result<> Inbox::judge(const wire::Data& data) const {
  const char* what = "take a message";
  const std::uint32_t bytes = static_cast<std::uint32_t>(data.payload.size());
  if (data.lane == 0 || data.lane >= kLaneCount)
    return fail(Kind::kMalformed, what, "no such lane");
  if (data.service >= services_) return fail(Kind::kUnsupported, what, "no such service");
  if (data.total == 0 || data.total > kMessageMax) {
    return fail(Kind::kLimit, what, "its length is out of bounds");
  }
  if (bytes == 0 || data.offset >= data.total || bytes > data.total - data.offset) {
    return fail(Kind::kMalformed, what, "a fragment lies outside");
  }
  const bool last = data.offset + bytes == data.total;
  if (data.offset % kUnitBytes != 0 || (!last && bytes % kUnitBytes != 0)) {
    return fail(Kind::kMalformed, what, "a fragment is off its unit");
  }
  return {};
}

Result<Inbox::Slot*> Inbox::slot_of(MessageId id) {
  const std::uint64_t place = id.value() - floor_.value();
  if (place >= kMessagesAhead)
    return fail(Kind::kLimit, "take a message", "numbered too far ahead");
  while (slots_.size() <= place) slots_.push(Slot{});
  return &slots_[place];
}

Result<std::optional<Arrived>> Inbox::on_data(const wire::Data& data) {
  TRY(judge(data));
  const MessageId id(data.message);
  if (id < floor_) {
    ++duplicates_;
    return std::nullopt;
  }
  Slot& slot = *TRY(slot_of(id));
  if (slot.state == State::kDone) {
    ++duplicates_;
    return std::nullopt;
  }
  if (slot.state == State::kUnknown) {
    if (opened_cost_ + cost_of(data.total) > limit_) {
      return fail(Kind::kLimit, "take a message", "the peer ignores our window");
    }
    opened_cost_ += cost_of(data.total);
    if (data.payload.size() == data.total) return finish(data, slot, own(data));
    TRY(begin(data, slot));
  }
  Partial& partial = *partials_[slot.partial];
  if (partial.total != data.total || partial.key != data.key ||
      static_cast<std::uint8_t>(partial.lane) != data.lane ||
      partial.service.value() != data.service) {
    return fail(Kind::kMalformed, "take a message", "its fragments disagree");
  }
  copy_in(data, partial);
  if (partial.missing_units > 0) return std::nullopt;
  partial_bytes_ -= partial.total;
  free_partials_.push_back(slot.partial);
  partial.have = Buffer();
  return finish(data, slot, std::move(partial.buffer).freeze(partial.total));
}

Result<> Inbox::begin(const wire::Data& data, Slot& slot) {
  if (free_partials_.empty()) {
    free_partials_.push_back(static_cast<std::uint32_t>(partials_.size()));
    partials_.push_back(std::make_unique<Partial>());
  }
  slot.state = State::kPartial;
  slot.partial = free_partials_.back();
  free_partials_.pop_back();
  Partial& partial = *partials_[slot.partial];
  partial.buffer = pool_.take(data.total);
  partial.total = data.total;
  partial.missing_units = units_of(data.total);
  partial.lane = static_cast<Lane>(data.lane);
  partial.service = ServiceId(data.service);
  partial.key = data.key;
  const std::size_t bitmap_bytes = (partial.missing_units + 7) / 8;
  partial.have = pool_.take(bitmap_bytes);
  std::memset(partial.have.bytes().data(), 0, bitmap_bytes);
  partial_bytes_ += data.total;
  return {};
}

// Units that are here are not written again: a later fragment cannot change delivered bytes.
void Inbox::copy_in(const wire::Data& data, Partial& partial) {
  const Bytes in = data.payload.bytes();
  const MutableBytes bits = partial.have.bytes();
  bool any = false;
  std::size_t from = 0, until = 0;  // a run of new units, copied at once
  const auto copy_run = [&] {
    std::memcpy(partial.buffer.bytes().data() + data.offset + from, in.data() + from, until - from);
  };
  for (std::size_t at = 0; at < in.size(); at += kUnitBytes) {
    const std::size_t unit = (data.offset + at) / kUnitBytes;
    std::byte& byte = bits[unit / 8];
    const std::byte bit = std::byte{1} << (unit % 8);
    if ((byte & bit) != std::byte{0}) continue;
    byte |= bit;
    any = true;
    --partial.missing_units;
    if (at != until) {
      copy_run();
      from = at;
    }
    until = std::min<std::size_t>(at + kUnitBytes, in.size());
  }
  copy_run();
  if (!any) ++duplicates_;
}

std::optional<Arrived> Inbox::finish(const wire::Data& data, Slot& slot, Slice body) {
  slot.state = State::kDone;
  delivered_cost_ += cost_of(data.total);
  while (!slots_.empty() && slots_.front().state == State::kDone) {
    slots_.pop();
    floor_ = floor_.next();
  }
  if (static_cast<Lane>(data.lane) == Lane::kLive && is_stale(data)) return std::nullopt;
  ++delivered_;
  return Arrived{static_cast<Lane>(data.lane), ServiceId(data.service), std::move(body)};
}

Slice Inbox::own(const wire::Data& data) {
  if (data.payload.size() >= kShareFromBytes) return data.payload;
  Buffer copy = pool_.take(data.payload.size());
  std::memcpy(copy.bytes().data(), data.payload.data(), data.payload.size());
  return std::move(copy).freeze(data.payload.size());
}

// An older value that was overtaken on another path says nothing any more. With more keys than the
// sender may have, the one unheard of for longest is forgotten.
bool Inbox::is_stale(const wire::Data& data) {
  const MessageId id(data.message);
  const ServiceId service(data.service);
  for (LiveKey& known : live_keys_) {
    if (known.key != data.key || known.service != service) continue;
    if (id < known.newest) return true;
    known.newest = id;
    return false;
  }
  const LiveKey fresh{data.key, service, id};
  if (live_keys_.size() < 2 * kLiveKeysMax) {
    live_keys_.push_back(fresh);
  } else {
    *std::min_element(live_keys_.begin(), live_keys_.end(), [](const LiveKey& a, const LiveKey& b) {
      return a.newest < b.newest;
    }) = fresh;
  }
  return false;
}

void Inbox::check() const {
  std::size_t partial_bytes = 0, partials = 0;
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    if (slots_[i].state != State::kPartial) continue;
    ++partials;
    partial_bytes += partials_[slots_[i].partial]->total;
  }
  ASSERT(partial_bytes == partial_bytes_);
  ASSERT(partials + free_partials_.size() == partials_.size());
  ASSERT(slots_.size() <= kMessagesAhead);
  ASSERT(opened_cost_ >= delivered_cost_ && opened_cost_ <= limit_);
}

}  // namespace longhaul::session
