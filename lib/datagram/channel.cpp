#include "lib/datagram/channel.hpp"

#include <algorithm>

namespace longhaul::datagram {

namespace {
constexpr Duration kRttGuess = 333ms;  // RFC 9002 kInitialRtt
constexpr Duration kStallLeast = 300ms;
constexpr Duration kWokeLate = 50ms;  // a timer so late: the process stood still
constexpr Duration kReadTime = 5ms;
constexpr Duration kProbePause = 250ms;
constexpr Duration kProbePauseLate = 1s;
constexpr Duration kProbeEagerFor = 15min;
constexpr std::uint32_t kStreamPackets = 32;

Duration first_guess(const ChannelOptions& options) {
  return options.rate.handshake_rtt > Duration{} ? options.rate.handshake_rtt : kRttGuess;
}
}  // namespace

std::string_view name_of(Life life) {
  switch (life) {
    case Life::kTrying:
      return "trying";
    case Life::kAlive:
      return "alive";
    case Life::kStalled:
      return "stalled";
    case Life::kOver:
      return "over";
  }
  return "unknown";
}

Channel::Channel(Time now, const EpochKeys& keys, const ChannelOptions& options, Load& load)
    : load_(load),
      pool_(*options.buffers),
      protection_(keys, options.limits.value_or(limits_of(keys.aead))),
      recovery_(now, first_guess(options)),
      received_(now),
      rate_(now, options.rate),
      route_(keys.send_secret, options.peer),
      ping_due_(options.peer.has_value()),
      sent_at_(now),
      heard_at_(now) {}

Result<> Channel::on_datagram(Time now, const Address& from, Bytes datagram, Duration ago) {
  if (life_ == Life::kOver) return {};
  Buffer text = pool_.take(std::max<std::size_t>(1, datagram.size()));
  Refused why{};
  const auto opened = protection_.open(now, datagram, text.bytes(), &why);
  if (!opened.has_value()) {
    ++counters_.refused[static_cast<std::size_t>(why)];
    if (why == Refused::kWornOut) life_ = Life::kOver;
    if (why == Refused::kReserved) return fail(Kind::kMalformed, "read a packet", "reserved bits");
    return {};
  }
  ++counters_.packets_in;
  counters_.bytes_in += datagram.size();
  heard_at_ = now;
  switch (route_.on_packet(now, from, datagram.size(), opened->newest)) {
    case Route::Change::kHost:
      rate_.on_path_change(now);
      mtu_.restart(now);
      [[fallthrough]];
    case Route::Change::kPort:
      ++counters_.address_changes;
      break;
    case Route::Change::kNone:
      break;
  }
  // The side that accepts hears of the other before anything of its own is acknowledged.
  if (life_ == Life::kTrying) come_alive(now);
  return read_frames(now, from, std::move(text).freeze(opened->frames_bytes), opened->number, ago);
}

Result<> Channel::read_frames(Time now, const Address& from, const Slice& frames,
                              PacketNumber number, Duration ago) {
  wire::Reader in(frames);
  bool eliciting = false;
  while (in.left() > 0 && !in.failed()) {
    const std::uint8_t type = in.byte();
    if (type >= kOptionalFrameFirst) {
      in.raw(in.fixed<std::uint16_t>());
      eliciting = true;
      continue;
    }
    if (type >= kQuietOwnerFrameFirst) {
      eliciting = eliciting || type >= kOwnerFrameFirst;
      TRY(load_.on_frame(now, type, in));
      continue;
    }
    switch (static_cast<FrameType>(type)) {
      case FrameType::kPadding:
        break;
      case FrameType::kPing:
        eliciting = true;
        break;
      case FrameType::kAck: {
        const AckFrame ack = read_ack(in);
        if (!in.failed()) TRY(on_ack(now, ack, ago));
        break;
      }
      case FrameType::kChallenge:
      case FrameType::kResponse: {
        Token token{};
        const Bytes bytes = in.raw(token.size());
        std::copy(bytes.begin(), bytes.end(), token.begin());
        if (in.failed()) break;
        if (static_cast<FrameType>(type) == FrameType::kChallenge) {
          answer_ = Answer{from, token};
        } else {
          route_.on_response(token, from);
        }
        break;
      }
      default:
        return fail(Kind::kUnsupported, "read a packet", "a frame of no known type");
    }
  }
  TRY(in.finish("packet"));
  received_.on_packet(now, number, eliciting, ago);
  if (eliciting) note_stream(now);
  return {};
}

void Channel::note_stream(Time now) {
  stream_packets_ = now - stream_at_ <= stall_after() ? stream_packets_ + 1 : 1;
  stream_at_ = now;
}

// Who only receives has nothing in flight and would not know that a NAT before it has forgotten it:
// what is sent to it is lost until it speaks. Where a stream stops it asks once whether it is
// heard. Without, a pull stood still for seconds if no acknowledgement was due when that happened.
std::optional<Time> Channel::hush_at() const {
  if (life_ != Life::kAlive || stream_packets_ < kStreamPackets) return std::nullopt;
  return stream_at_ + stall_after();
}

Result<> Channel::on_ack(Time now, const AckFrame& ack, Duration ago) {
  take_drops(now, ack.dropped);
  outcome_.clear();
  TRY(recovery_.on_ack(now - ago, ack, load_, &outcome_));
  protection_.on_acked(ack.largest());
  protection_.set_old_key_life(3 * recovery_.rtt().probe_timeout());
  if (outcome_.any_new) recovery_.on_heard(now);
  if (outcome_.any_new && life_ != Life::kAlive) come_alive(now);
  urgent_over_window_ -= std::min<std::uint64_t>(urgent_over_window_, outcome_.acked.size());
  if (!outcome_.acked.empty()) {
    rate_.on_acked(now, outcome_.acked, ack.held + ago);
  } else if (outcome_.any_new) {
    rate_.on_alive(now);  // of what was given up before
  }
  apply(now, outcome_);
  return {};
}

void Channel::on_socket_drops(std::uint64_t so_far) {
  if (!socket_drops_before_.has_value()) socket_drops_before_ = so_far;
  socket_drops_ = so_far - std::min(so_far, *socket_drops_before_);
}

void Channel::take_drops(Time now, std::uint64_t dropped) {
  if (now >= excused_until_) excused_ = 0;
  if (dropped <= peer_drops_) return;
  excused_ += dropped - peer_drops_;
  excused_until_ = now + 2 * recovery_.rtt().longest();
  peer_drops_ = dropped;
}

// What the peer's socket had no room for did cross the link; which of the lost they are, nobody
// knows, and it matters little.
void Channel::take_lost(Time now, std::span<const SentPacket> lost) {
  const std::size_t there = std::min<std::uint64_t>(excused_, lost.size());
  excused_ -= there;
  counters_.dropped_there += there;
  if (there > 0) rate_.on_dropped_there(lost.first(there));
  if (there < lost.size()) rate_.on_lost(now, lost.subspan(there));
}

void Channel::apply(Time now, const Recovery::Outcome& outcome) {
  if (!outcome.lost.empty()) take_lost(now, outcome.lost);
  if (!outcome.forgotten.empty()) rate_.on_forgotten(outcome.forgotten);
  counters_.lost += outcome.lost.size();
  counters_.spurious = recovery_.spurious();
  const std::uint32_t full = wire_bytes(mtu_.size()) - kMtuBase / 8;
  if (outcome.largest_acked_bytes >= full) mtu_.on_full_acked();
  for (const SentPacket& packet : outcome.lost) {
    if (packet.bytes >= full) mtu_.on_full_lost(now);
  }
  const std::uint32_t headers = wire_bytes(0);
  if (outcome.probe_acked.has_value()) mtu_.on_probe_acked(*outcome.probe_acked - headers);
  if (outcome.probe_lost.has_value()) mtu_.on_probe_lost(now, *outcome.probe_lost - headers);
}

void Channel::come_alive(Time now) {
  life_ = Life::kAlive;
  heard_at_ = now;
}

Duration Channel::stall_after() const {
  const RttEstimate& rtt = recovery_.rtt();
  return std::max<Duration>(kStallLeast, std::max(2 * rtt.longest(), rtt.probe_timeout()));
}

std::optional<Time> Channel::stall_at() const {
  if (life_ == Life::kStalled) return std::nullopt;
  const auto since = recovery_.silent_since();
  if (!since.has_value()) return std::nullopt;
  return std::max(*since + stall_after(), read_by_);
}

std::optional<Time> Channel::silence_at() const {
  const auto at = rate_.next_deadline();
  if (!at.has_value()) return std::nullopt;
  return std::max(*at, read_by_);
}

void Channel::give_up(Time now) {
  std::vector<SentPacket> forgotten;
  recovery_.give_up(load_, &forgotten);
  rate_.on_forgotten(forgotten);
  if (life_ == Life::kOver) return;
  if (life_ != Life::kStalled) {
    ++counters_.stalls;
    stalled_since_ = now;
  }
  life_ = Life::kStalled;
  resends_earned_ = probes_due_ = 0;
  urgent_over_window_ = 0;
  next_probe_ = now;
}

void Channel::on_addresses_changed(Time now) {
  if (life_ == Life::kOver) return;
  route_.challenge_again(now);
  ping_due_ = true;
  if (life_ == Life::kStalled) {
    next_probe_ = now;
    stalled_since_ = now;
  }
}

// A process that was stopped wakes to timers that are over, and has not read yet what came
// meanwhile: a moment for that, once in a silence.
void Channel::excuse_stop(Time now) {
  const auto since = recovery_.silent_since();
  if (!since.has_value() || read_by_ > *since) return;
  const Time due = std::min(stall_at().value_or(now), silence_at().value_or(now));
  if (now - due > kWokeLate) read_by_ = now + kReadTime;
}

void Channel::on_deadline(Time now) {
  if (life_ == Life::kOver) return;
  excuse_stop(now);
  if (now >= read_by_) {
    outcome_.clear();
    recovery_.on_deadline(now, load_, &outcome_);
    apply(now, outcome_);
  }
  if (const auto at = silence_at(); at.has_value() && *at <= now) rate_.on_deadline(now);
  if (const auto at = stall_at(); at.has_value() && *at <= now) {
    give_up(now);
  } else if (const auto probe = recovery_.probe_at();
             life_ != Life::kStalled && probe.has_value() && *probe <= now) {
    recovery_.on_probe_due();
    probes_due_ = 1;
  }
  if (life_ == Life::kStalled && next_probe_ <= now) {
    ping_due_ = true;
    next_probe_ = now + (now - stalled_since_ < kProbeEagerFor ? kProbePause : kProbePauseLate);
  }
  if (const auto at = hush_at(); at.has_value() && *at <= now) {
    stream_packets_ = 0;
    ping_due_ = true;
  }
  if (route_.current().has_value() && now - sent_at_ >= kKeepalive) ping_due_ = true;
  if (!protection_.may_seal()) life_ = Life::kOver;
}

std::optional<Time> Channel::next_deadline(Time now) const {
  if (life_ == Life::kOver || !route_.current().has_value()) return std::nullopt;
  Time at = Time::max();
  const auto sooner = [&at](std::optional<Time> other) {
    if (other.has_value()) at = std::min(at, *other);
  };
  sooner(silence_at());
  if (const auto loss = recovery_.loss_at()) sooner(std::max(*loss, read_by_));
  sooner(stall_at());
  if (life_ == Life::kStalled) sooner(next_probe_);
  if (life_ != Life::kStalled && probes_due_ == 0) sooner(recovery_.probe_at());
  // What follows is sent at its time or as soon as there is room again, which an input tells.
  const bool small = !blocked_ && route_.room() >= kSmallBytes;
  if (small && !ping_due_) {
    sooner(sent_at_ + kKeepalive);
    sooner(hush_at());
  }
  if (small) {
    sooner(received_.ack_at());
    sooner(route_.challenge_at());
  }
  if (!blocked_ && route_.room() >= mtu_.size()) {
    const auto next = rate_.next_send();
    const auto paced = [&](Time wish) {
      if (next.has_value()) sooner(std::max({wish, *next, now}));
    };
    if (may_load(now) || may_resend(now)) paced(now);
    if (life_ == Life::kAlive && route_.validated() && mtu_.next_probe()) paced(*mtu_.next_probe());
    // What is due and was not sent waits for an acknowledgement, not for a time that has passed.
    const auto load_at = load_.next_at(now);
    if (life_ != Life::kStalled && !resting_ && load_at > now) sooner(load_at);
  }
  if (at == Time::max()) return std::nullopt;
  return at;
}

}  // namespace longhaul::datagram
