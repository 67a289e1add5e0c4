#include "netsim/relay/tcp_model.hpp"

#include "lib/base/assert.hpp"

namespace netsim::relay {
namespace {

constexpr std::uint64_t kReorderMax = 3;  // RFC 5681's duplicate threshold
constexpr Duration kTimeoutFloor = std::chrono::milliseconds(200);  // as Linux
constexpr Duration kFirstTimeout = std::chrono::seconds(1);         // RFC 6298
constexpr std::uint64_t kNoWindow = std::uint64_t{1} << 50;
constexpr Duration kTimeoutMost = std::chrono::seconds(120);

}  // namespace

TcpModel::TcpModel(const TcpModelOptions& options)
    : options_(options),
      congestion_(options.congestion.value_or(Congestion::kFixed), options.segment_bytes,
                  kNoWindow) {}

void TcpModel::open(Time now) {
  open_ = true;
  if (flight_bytes_ > 0) arm(now);
}

bool TcpModel::make_segment() {
  if (unsent_bytes_ > 0) {
    const auto bytes =
        static_cast<std::uint32_t>(std::min<std::uint64_t>(unsent_bytes_, options_.segment_bytes));
    unsent_bytes_ -= bytes;
    segments_.push(Sent{bytes, false, false, false, false, 0});
    return true;
  }
  if (!finish_asked_ || finish_made_) return false;
  finish_made_ = true;
  segments_.push(Sent{0, true, false, false, false, 0});
  return true;
}

bool TcpModel::fits(std::uint32_t bytes) const {
  return flight_bytes_ == 0 || flight_bytes_ + bytes <= congestion_.bytes();
}

std::optional<Segment> TcpModel::next_segment(Time now) {
  if (!open_) return std::nullopt;
  std::uint64_t number = 0;
  while (!lost_.empty() && (lost_.front() < first_ || sent(lost_.front()).acked)) lost_.pop();
  if (!lost_.empty()) {
    number = lost_.front();
    if (!fits(sent(number).bytes)) return std::nullopt;
    lost_.pop();
    ++counters_.repeats;
  } else {
    if (fresh_ == end() && !make_segment()) return std::nullopt;
    number = fresh_;
    const std::uint32_t bytes = sent(number).bytes;
    const bool window_open = unconsumed_bytes_ == 0 || bytes == 0 ||
                             unconsumed_bytes_ + bytes <= options_.window_max.value();
    if (!window_open || !fits(bytes)) return std::nullopt;
    unconsumed_bytes_ += bytes;
    ++fresh_;
  }
  Sent& record = sent(number);
  record.transmission = flights_from_ + flights_.size();
  record.in_flight = true;
  flights_.push(number);
  flight_bytes_ += record.bytes;
  ++counters_.segments;
  if (!timeout_at_) arm(now);
  return Segment{number, record.transmission, record.bytes, now};
}

Arrival TcpModel::on_segment(const Segment& segment) {
  Arrival out;
  if (segment.number >= next_) {
    sent(segment.number).arrived = true;
    while (next_ < fresh_ && sent(next_).arrived) {
      out.released_bytes += sent(next_).bytes;
      out.finished = out.finished || sent(next_).last;
      ++next_;
    }
  }
  out.ack = Ack{next_, segment.number, segment.transmission, segment.sent};
  return out;
}

void TcpModel::on_consumed(std::uint64_t bytes) {
  ASSERT(bytes <= unconsumed_bytes_);
  unconsumed_bytes_ -= bytes;
}

void TcpModel::mark_acked(std::uint64_t number, std::uint64_t& acked_bytes) {
  Sent& record = sent(number);
  if (record.acked) return;
  record.acked = true;
  acked_bytes += record.bytes;
  if (record.in_flight) flight_bytes_ -= record.bytes;
  record.in_flight = false;
}

void TcpModel::lose(std::uint64_t number) {
  Sent& record = sent(number);
  if (record.acked || !record.in_flight) return;
  record.in_flight = false;
  flight_bytes_ -= record.bytes;
  lost_.push(number);
}

void TcpModel::find_losses(std::uint64_t arrived_transmission) {
  bool fresh_event = false;
  while (!flights_.empty() && flights_from_ + kReorderMax <= arrived_transmission) {
    const std::uint64_t number = flights_.pop();
    const std::uint64_t transmission = flights_from_++;
    if (number < first_) continue;
    const Sent& record = sent(number);
    if (record.acked || !record.in_flight || record.transmission != transmission) continue;
    fresh_event = fresh_event || transmission >= recovery_until_;
    lose(number);
  }
  if (!fresh_event) return;
  congestion_.on_loss();
  recovery_until_ = flights_from_ + flights_.size();
}

void TcpModel::on_ack(Time now, const Ack& ack) {
  std::uint64_t acked_bytes = 0;
  const bool was_limited = flight_bytes_ + options_.segment_bytes > congestion_.bytes();
  const std::uint64_t first_before = first_;
  for (; first_ < ack.next; ++first_) {
    mark_acked(first_, acked_bytes);
    segments_.pop();
  }
  if (ack.number >= first_) mark_acked(ack.number, acked_bytes);
  sample_rtt(now - ack.sent);
  // A window that was not filled says nothing about the path: it does not grow (RFC 9438, 5.8).
  if (acked_bytes > 0) congestion_.on_ack(now, acked_bytes, now - ack.sent, was_limited);
  find_losses(ack.transmission);
  if (acked_bytes == 0 && first_ == first_before) return;
  backoff_ = 0;
  timeout_at_.reset();
  if (!segments_.empty() && first_ < fresh_) arm(now);
}

void TcpModel::on_deadline(Time now) {
  if (!timeout_at_ || now < *timeout_at_) return;
  timeout_at_.reset();
  ++counters_.timeouts;
  if (backoff_ < 10) ++backoff_;
  if (backoff_ == 1) congestion_.on_timeout();
  flights_from_ += flights_.size();
  flights_.clear();
  recovery_until_ = flights_from_;
  // In order of the stream, whatever was found lost before.
  lost_.clear();
  for (std::uint64_t number = first_; number < fresh_; ++number) {
    Sent& record = sent(number);
    if (record.acked) continue;
    if (record.in_flight) flight_bytes_ -= record.bytes;
    record.in_flight = false;
    lost_.push(number);
  }
  if (!lost_.empty()) arm(now);
}

void TcpModel::sample_rtt(Duration rtt) {
  if (!has_rtt_) {
    has_rtt_ = true;
    srtt_ = rtt;
    rttvar_ = rtt / 2;
    return;
  }
  const Duration apart = srtt_ > rtt ? srtt_ - rtt : rtt - srtt_;
  rttvar_ = (3 * rttvar_ + apart) / 4;
  srtt_ = (7 * srtt_ + rtt) / 8;
}

Duration TcpModel::timeout() const {
  const Duration base = has_rtt_ ? srtt_ + std::max(4 * rttvar_, kTimeoutFloor) : kFirstTimeout;
  return std::min(base * (std::int64_t{1} << backoff_), kTimeoutMost);
}

void TcpModel::arm(Time now) {
  timeout_at_ = now + timeout();
}

void TcpModel::check() const {
  std::uint64_t flying = 0;
  for (std::size_t i = 0; i < segments_.size(); ++i)
    if (segments_[i].in_flight) flying += segments_[i].bytes;
  ASSERT(flying == flight_bytes_);
  ASSERT(first_ <= next_ && next_ <= fresh_ && fresh_ <= end());
}

}  // namespace netsim::relay
