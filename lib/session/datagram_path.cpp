#include "lib/session/datagram_path.hpp"

#include <algorithm>

namespace longhaul::session {

namespace {
using datagram::Item;
using datagram::Packing;
using wire::DatagramFrame;

// Type and fields of a Data frame before its payload, at most, but for a live key: numbers below
// 2^28, offsets of any message.
constexpr std::size_t kDataOverhead = 1 + 4 + 4 + 4 + 1 + 1 + 1 + 2;
// A fragment behind control frames in one packet is worth its header from this many bytes on.
constexpr std::uint32_t kFragmentLeast = 512;
constexpr Duration kRepeatAfter = 5ms;

constexpr std::uint8_t kind_of(DatagramFrame frame) {
  return static_cast<std::uint8_t>(frame);
}

template <class T>
bool put(Packing& packet, DatagramFrame type, const T& message) {
  const std::size_t bytes = 1 + wire::encoded_size(message);
  if (bytes > packet.room()) return false;
  packet.frame(bytes, [&](wire::Writer& out) {
    out.byte(static_cast<std::uint8_t>(type));
    wire::Codec<T>::put(out, message);
  });
  return true;
}

Item item_of(const Fragment& fragment) {
  return Item{fragment.message.value(), fragment.offset, fragment.bytes,
              kind_of(DatagramFrame::kData), static_cast<std::uint8_t>(fragment.lane)};
}
Fragment fragment_of(const Item& item) {
  return Fragment{MessageId(item.name), item.offset, item.bytes, static_cast<Lane>(item.lane)};
}

std::uint32_t units(std::size_t room) {
  const std::size_t payload = room - std::min(room, kDataOverhead);
  return static_cast<std::uint32_t>(std::min(payload, wire::kFragmentMax) / kUnitBytes *
                                    kUnitBytes);
}
}  // namespace

DatagramPath::DatagramPath(Time now, std::uint32_t epoch, const datagram::EpochKeys& keys,
                           const datagram::ChannelOptions& options, Messages& messages, Held held)
    : epoch_(epoch),
      since_(now),
      messages_(messages),
      held_(std::move(held)),
      control_next_(messages.control().acked()),
      repeats_(now),
      channel_(now, keys, options, *this) {}

bool DatagramPath::has_control(Time now) const {
  const ControlSender& control = messages_.control();
  return !control_lost_.empty() || (!control_again_.empty() && control_again_.front().due <= now) ||
         control.at(std::max(control_next_, control.acked())) != nullptr;
}

bool DatagramPath::has(Time now, bool urgent) const {
  if (has_control(now) || window_due_ || goodbye_out_.has_value()) return true;
  const bool live = messages_.has_work(only(Lane::kLive)) && !messages_.live_at(now).has_value();
  if (urgent) return live;
  return live || messages_.has_work(kDeadlineLanes | kBulkLanes);
}

std::optional<Time> DatagramPath::next_at(Time now) const {
  std::optional<Time> at = messages_.live_at(now);
  if (!control_again_.empty()) at = std::min(at.value_or(Time::max()), control_again_.front().due);
  return at;
}

wire::Window DatagramPath::window() {
  return wire::Window{messages_.control_next(), messages_.credit(held_())};
}

void DatagramPath::put_window(Packing& packet, DatagramFrame type) {
  if (!put(packet, type, window()) || type == DatagramFrame::kWindow) return;
  packet.carry(Item{0, 0, 0, kind_of(type), 0});
  window_due_ = false;
}

void DatagramPath::accompany(Packing& packet) {
  put_window(packet, DatagramFrame::kWindow);
}

void DatagramPath::fill(Time now, Packing& packet, bool urgent) {
  fill_control(now, packet);
  if (window_due_) put_window(packet, DatagramFrame::kWindowNews);
  if (goodbye_out_.has_value() && put(packet, DatagramFrame::kGoodbye, *goodbye_out_)) {
    packet.elicit();
    goodbye_out_.reset();
  }
  LaneSet lanes = kUrgentLanes | kBulkLanes;
  if (urgent) lanes = only(Lane::kLive);
  const std::uint32_t full = units(packet.full_room());
  bool bulky = false;
  std::uint32_t most = units(packet.room());
  // The packets of a batch are of one size: what fills one does not go into a smaller one.
  if (packet.used() == 0 && most < full) return;
  while (most >= (packet.used() == 0 ? kUnitBytes : kFragmentLeast)) {
    const auto fragment = messages_.next_fragment(now, lanes, most);
    if (!fragment.has_value()) break;
    if (!put_data(*fragment, packet)) {  // a long key or number: once more, shorter
      messages_.on_lost(*fragment);
      most -= kUnitBytes;
      continue;
    }
    bulky = bulky || fragment->bytes == full;
    most = units(packet.room());
  }
  if (bulky) packet.pad(full + kDataOverhead);
}

bool DatagramPath::put_data(const Fragment& fragment, Packing& packet) {
  if (!put(packet, DatagramFrame::kData, messages_.frame_of(fragment))) return false;
  packet.carry(item_of(fragment));
  return true;
}

// What was lost first, then what is said twice, then what is new.
void DatagramPath::fill_control(Time now, Packing& packet) {
  const std::uint64_t acked = messages_.control().acked();
  while (!control_lost_.empty()) {
    if (control_lost_.front() >= acked && !put_control(control_lost_.front(), packet)) return;
    control_lost_.pop();
  }
  while (!control_again_.empty() && control_again_.front().due <= now) {
    const std::uint64_t number = control_again_.front().number;
    if (number >= acked && !put_control(number, packet)) return;
    control_again_.pop();
  }
  control_next_ = std::max(control_next_, acked);
  while (const ControlSender::Numbered* message = messages_.control().at(control_next_)) {
    if (!put_control(control_next_, packet)) return;
    if (lossy_ && repeats_.allows(now, acked_in_all_)) {
      repeats_.spend(message->body.size());
      control_again_.push({control_next_, now + kRepeatAfter});
    }
    ++control_next_;
  }
}

// False if there is no room for it; true also if it need not go.
bool DatagramPath::put_control(std::uint64_t number, Packing& packet) {
  const ControlSender::Numbered* message = messages_.control().at(number);
  if (message == nullptr) return true;
  wire::Control frame;
  frame.number = number;
  frame.service = message->service.value();
  frame.body = message->body;
  if (!put(packet, DatagramFrame::kControl, frame)) return false;
  packet.carry(Item{number, 0, 0, kind_of(DatagramFrame::kControl), 0});
  return true;
}

bool DatagramPath::refill(const Item& item, Packing& packet) {
  switch (static_cast<DatagramFrame>(item.kind)) {
    case DatagramFrame::kData:
      return put(packet, DatagramFrame::kData, messages_.frame_of(fragment_of(item)));
    case DatagramFrame::kControl: {
      if (messages_.control().at(item.name) == nullptr) return false;
      return put_control(item.name, packet);
    }
    case DatagramFrame::kWindowNews:
      return put(packet, DatagramFrame::kWindowNews, window());
    case DatagramFrame::kWindow:
    case DatagramFrame::kGoodbye:
      break;
  }
  return false;
}

void DatagramPath::on_acked(const Item& item) {
  if (item.kind != kind_of(DatagramFrame::kData)) return;
  messages_.on_acked(fragment_of(item));
  acked_bytes_ += item.bytes;
  acked_in_all_ += item.bytes;
}

void DatagramPath::on_lost(const Item& item) {
  switch (static_cast<DatagramFrame>(item.kind)) {
    case DatagramFrame::kData:
      return messages_.on_lost(fragment_of(item));
    case DatagramFrame::kControl:
      if (item.name >= messages_.control().acked()) control_lost_.push(item.name);
      return;
    case DatagramFrame::kWindowNews:
      window_due_ = true;
      return;
    case DatagramFrame::kWindow:
    case DatagramFrame::kGoodbye:
      return;
  }
}

Result<> DatagramPath::on_frame(Time, std::uint8_t type, wire::Reader& in) {
  switch (static_cast<DatagramFrame>(type)) {
    case DatagramFrame::kWindow:
    case DatagramFrame::kWindowNews: {
      wire::Window window;
      wire::Codec<wire::Window>::get(in, window);
      if (in.failed()) return {};
      messages_.on_credit(window.credit);
      return messages_.control().on_acked(window.control_next);
    }
    case DatagramFrame::kData: {
      wire::Data data;
      wire::Codec<wire::Data>::get(in, data);
      if (in.failed()) return {};
      return messages_.on_data(data);
    }
    case DatagramFrame::kControl: {
      wire::Control control;
      wire::Codec<wire::Control>::get(in, control);
      if (in.failed()) return {};
      return messages_.on_control(control);
    }
    case DatagramFrame::kGoodbye: {
      wire::Goodbye goodbye;
      wire::Codec<wire::Goodbye>::get(in, goodbye);
      if (!in.failed()) goodbye_in_ = std::move(goodbye);
      return {};
    }
  }
  return fail(Kind::kUnsupported, "read a packet", "a frame of no known type");
}

}  // namespace longhaul::session
