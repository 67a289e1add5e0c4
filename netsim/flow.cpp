#include "netsim/flow.hpp"

#include <algorithm>

#include "netsim/wire_packet.hpp"

namespace netsim {
namespace {

using longhaul::Duration;
using longhaul::Slice;
using longhaul::Time;
using namespace std::chrono_literals;

constexpr Duration kTimeoutMin = 200ms, kTimeoutMax = 120s, kTimeoutFirst = 1s;  // Linux, RFC 6298
constexpr std::uint64_t kReorderThresholdMax = 1000;                             // packets

}  // namespace

Flow::Flow(const FlowOptions& options)
    : options_(options),
      congestion_(options.congestion, options.mss_bytes, options.fixed_window_bytes),
      window_end_(options.receive_buffer_bytes) {}

// ---- Sender: buffer ----

std::uint64_t Flow::room() const {
  const std::uint64_t held = written_ - acked_;
  return held < options_.send_buffer_bytes ? options_.send_buffer_bytes - held : 0;
}

std::size_t Flow::write(const Slice& bytes) {
  ASSERT(!fin_written_);
  const auto taken = static_cast<std::size_t>(std::min<std::uint64_t>(bytes.size(), room()));
  if (taken == 0) return 0;
  buffer_.push_back(bytes.first(taken));
  written_ += taken;
  return taken;
}

void Flow::finish() {
  fin_written_ = true;
}

void Flow::drop_used_slices() {
  while (!buffer_.empty()) {
    const std::uint64_t end = buffer_offset_ + buffer_.front().size();
    if (end > acked_ || read_slice_ == 0) return;
    buffer_offset_ = end;
    buffer_.pop_front();
    --read_slice_;
  }
}

// ---- Sender: what to send ----

std::optional<std::uint64_t> Flow::next_to_resend() {
  while (!to_resend_.empty()) {
    const std::uint64_t index = to_resend_.front();
    if (index >= first_segment_ && piece(index).waiting && !piece(index).acked) return index;
    to_resend_.pop();
  }
  return std::nullopt;
}

bool Flow::cut_next_piece() {
  std::uint64_t bytes = std::min<std::uint64_t>(written_ - cut_, options_.mss_bytes);
  bytes = std::min(bytes, window_end_ > cut_ ? window_end_ - cut_ : 0);
  const bool fin = bytes == 0 && cut_ == written_ && fin_written_ && !fin_cut_;
  if (bytes == 0 && !fin) return false;
  segments_.push(Piece{static_cast<std::uint32_t>(bytes), fin, false, false, false});
  cut_ += bytes;
  fin_cut_ = fin_cut_ || fin;
  return true;
}

std::optional<Flow::Segment> Flow::poll_segment(Time now) {
  if (const auto index = next_to_resend()) {
    if (in_flight_ > 0 && in_flight_ + piece(*index).bytes > congestion_.bytes())
      return std::nullopt;
    to_resend_.pop();
    piece(*index).waiting = false;
    ++retransmissions_;
    return transmit(now, *index);
  }
  if (in_flight_ > 0 && in_flight_ + options_.mss_bytes > congestion_.bytes()) return std::nullopt;
  if (!cut_next_piece()) return std::nullopt;
  return transmit(now, first_segment_ + segments_.size() - 1);
}

Flow::Segment Flow::transmit(Time now, std::uint64_t index) {
  const std::uint32_t bytes = piece(index).bytes;
  if (sent_.empty()) progress_ = now;
  in_flight_ += bytes;
  const bool limited = 2 * in_flight_ >= congestion_.bytes();
  sent_.push(Sent{index, now, bytes, Sent::kOutstanding, limited});
  return Segment{index, first_sent_ + sent_.size() - 1, bytes, generation_};
}

// ---- Sender: acknowledgements and losses ----

void Flow::on_ack(Time now, const Ack& ack) {
  window_end_ = std::max(window_end_, ack.window_end);
  const std::uint64_t seen_before = arrivals_before_;
  while (arrivals_before_ < ack.received) {
    take_acked(now, arrivals_.pop());
    ++arrivals_before_;
  }
  if (arrivals_before_ == seen_before) return;
  backoff_ = 0;
  stalled_since_.reset();
  progress_ = now;
  find_losses();
  drop_acked_pieces();
  if (ack.marks && first_sent_ >= marks_until_) {  // as a loss, once per round trip
    marks_until_ = first_sent_ + sent_.size();
    congestion_.on_loss();
  }
}

void Flow::take_acked(Time now, std::uint64_t transmission) {
  if (transmission < first_sent_) {  // given up, yet it came: packets overtake more than we thought
    if (transmission >= forgotten_before_)
      reorder_threshold_ = std::min(reorder_threshold_ * 2, kReorderThresholdMax);
    return;
  }
  Sent& sent = sent_[transmission - first_sent_];
  if (sent.state != Sent::kOutstanding) return;
  sent.state = Sent::kAcked;
  delivered_bytes_ += sent.bytes;
  highest_acked_ = any_acked_ ? std::max(highest_acked_, transmission) : transmission;
  any_acked_ = true;
  on_rtt(now - sent.at);
  in_flight_ -= sent.bytes;
  if (sent.index < first_segment_) return;
  piece(sent.index).acked = true;
  congestion_.on_ack(now, sent.bytes, now - sent.at, sent.limited);
}

void Flow::lose(Sent& sent, bool by_timeout) {
  sent.state = Sent::kLost;
  in_flight_ -= sent.bytes;
  if (sent.index < first_segment_) return;
  Piece& lost = piece(sent.index);
  if (lost.acked) return;
  if (!lost.waiting) {
    lost.waiting = true;
    to_resend_.push(sent.index);
  }
  if (by_timeout) return;
  if (first_sent_ >=
      recovery_until_) {  // what was sent before the last reduction tells nothing new
    recovery_until_ = first_sent_ + sent_.size();
    congestion_.on_loss();
  }
}

void Flow::find_losses() {
  while (!sent_.empty()) {
    Sent& oldest = sent_.front();
    if (oldest.state == Sent::kOutstanding) {
      if (first_sent_ + reorder_threshold_ > highest_acked_) return;
      lose(oldest, false);
    }
    sent_.pop();
    ++first_sent_;
  }
}

void Flow::drop_acked_pieces() {
  while (!segments_.empty() && segments_.front().acked && segments_.front().received) {
    acked_ += segments_.front().bytes;
    segments_.pop();
    ++first_segment_;
  }
  drop_used_slices();
}

void Flow::on_rtt(Duration sample) {  // RFC 6298
  if (smoothed_rtt_ == Duration{}) {
    smoothed_rtt_ = sample;
    rtt_variation_ = sample / 2;
    return;
  }
  const Duration error = sample > smoothed_rtt_ ? sample - smoothed_rtt_ : smoothed_rtt_ - sample;
  rtt_variation_ += (error - rtt_variation_) / 4;
  smoothed_rtt_ += (sample - smoothed_rtt_) / 8;
}

void Flow::seed_rtt(Duration rtt) {
  if (rtt > Duration{}) on_rtt(rtt);
}

Duration Flow::timeout() const {
  const Duration once = smoothed_rtt_ == Duration{}
                            ? kTimeoutFirst
                            : smoothed_rtt_ + std::max(kTimeoutMin, 4 * rtt_variation_);
  return std::min<Duration>(once * (1LL << std::min(backoff_, 20U)), kTimeoutMax);
}

std::optional<Time> Flow::next_timeout() const {
  const bool window_shut = in_flight_ == 0 && cut_ < written_ && window_end_ <= cut_;
  if (sent_.empty() && !window_shut) return std::nullopt;
  return progress_ + timeout();
}

bool Flow::on_timeout(Time now) {
  if (!stalled_since_) stalled_since_ = progress_;
  progress_ = now;
  ++backoff_;
  const bool window_shut = sent_.empty();
  if (window_shut) return true;
  ++timeouts_;
  for (std::size_t i = 0; i < sent_.size(); ++i)
    if (sent_[i].state == Sent::kOutstanding) lose(sent_[i], true);
  first_sent_ += sent_.size();
  recovery_until_ = forgotten_before_ = first_sent_;
  sent_.clear();
  if (backoff_ == 1) congestion_.on_timeout();
  return false;
}

void Flow::set_mss(std::uint32_t mss_bytes) {
  if (mss_bytes >= options_.mss_bytes) return;
  options_.mss_bytes = mss_bytes;
  congestion_.set_mss(mss_bytes);
  ++generation_;  // what flies was numbered for the old pieces; both ends forget it
  first_sent_ += sent_.size();
  forgotten_before_ = first_sent_;
  sent_.clear();
  to_resend_.clear();
  in_flight_ = 0;
  Ring<Piece> old;
  std::swap(old, segments_);
  std::uint64_t in_order = first_segment_;
  bool ordered = true;
  for (std::size_t i = 0; i < old.size(); ++i) {
    Piece rest = old[i];
    rest.acked = rest.received;  // the sender would learn so with the next acknowledgement
    rest.waiting = !rest.received;
    do {
      Piece part = rest;
      part.bytes = rest.received ? rest.bytes : std::min(rest.bytes, mss_bytes);
      rest.bytes -= part.bytes;
      segments_.push(part);
      if (part.waiting) to_resend_.push(first_segment_ + segments_.size() - 1);
      ordered = ordered && part.received;
      if (ordered) ++in_order;
    } while (rest.bytes > 0);
  }
  next_in_order_ = in_order;
  drop_acked_pieces();
}

// ---- Receiver ----

void Flow::on_segment(const Segment& segment, bool altered, bool marked) {
  if (segment.generation != generation_) return;
  arrivals_.push(segment.transmission);
  marks_ = marks_ || marked;
  if (segment.index < next_in_order_ || piece(segment.index).received) return;
  piece(segment.index).received = true;
  if (altered && segment.bytes > 0) {
    std::uint64_t offset = received_offset_;
    for (std::uint64_t i = next_in_order_; i < segment.index; ++i) offset += piece(i).bytes;
    altered_at_.push_back(offset + segment.transmission % segment.bytes);
    std::sort(altered_at_.begin(), altered_at_.end());
  }
  while (next_in_order_ < first_segment_ + segments_.size() && piece(next_in_order_).received) {
    received_offset_ += piece(next_in_order_).bytes;
    fin_received_ = fin_received_ || piece(next_in_order_).fin;
    ++next_in_order_;
  }
}

Flow::Ack Flow::make_ack() {
  const bool marks = marks_;
  marks_ = false;
  return Ack{arrivals_before_ + arrivals_.size(), read_offset_ + options_.receive_buffer_bytes,
             generation_, marks};
}

std::optional<Slice> Flow::read(std::size_t bytes_max) {
  if (read_offset_ == received_offset_ || bytes_max == 0) return std::nullopt;
  const Slice& slice = buffer_[read_slice_];
  const std::size_t ready = static_cast<std::size_t>(std::min<std::uint64_t>(
      std::min(slice.size() - read_within_, bytes_max), received_offset_ - read_offset_));
  Slice piece = slice.part(read_within_, ready);
  while (!altered_at_.empty() && altered_at_.front() < read_offset_ + ready) {
    piece = with_flipped_bit(piece, altered_at_.front() - read_offset_);
    altered_at_.erase(altered_at_.begin());
  }
  read_offset_ += ready;
  read_within_ += ready;
  if (read_within_ == slice.size()) {
    ++read_slice_;
    read_within_ = 0;
  }
  drop_used_slices();
  return piece;
}

void Flow::check() const {
  ASSERT(acked_ <= cut_ && cut_ <= written_);
  ASSERT(read_offset_ <= received_offset_ && received_offset_ <= cut_);
  ASSERT(acked_ <= received_offset_);
  std::uint64_t outstanding = 0;
  for (std::size_t i = 0; i < sent_.size(); ++i)
    if (sent_[i].state == Sent::kOutstanding) outstanding += sent_[i].bytes;
  ASSERT(outstanding == in_flight_);
}

}  // namespace netsim
