// Once per round trip: what was delivered, what was lost, and what follows for the rate, for the
// number of connections and for each socket.
#include <algorithm>

#include "lib/session/core.hpp"

namespace longhaul::session {

namespace {
constexpr Duration kRoundLeast = 50ms;
constexpr Duration kRoundMost = 1s;
constexpr Duration kEpochLeast = 500ms;
constexpr int kEpochRounds = 3;
constexpr Duration kUnsentSpan = 10ms;
constexpr std::uint32_t kUnsentLeast = 32U << 10;
// Many connections over a slow link: 32 KiB in each of sixty are 0.8 s of 20 Mbit/s, which go out
// whatever the cap says.
constexpr Duration kUnsentSpanMost = 100ms;
constexpr std::uint32_t kUnsentSlow = 4U << 10;
constexpr std::uint32_t kUnsentMost = 4U << 20;
constexpr std::uint32_t kUnsentUnknown = 256U << 10;  // while a connection still ramps up
}  // namespace

Duration Core::rtt() const {
  const Duration bulk = paths_.rtt_least(PathRole::kBulk);
  const Duration control = paths_.rtt_least(PathRole::kControl);
  if (bulk == Duration{}) return control;
  return control == Duration{} ? bulk : std::min(bulk, control);
}

// Nothing to send, nothing unacknowledged: no round has anything to judge, and one a second leaves
// the processor of a laptop asleep. The next message ends such a round.
bool Core::rests() const {
  return messages_.queued_bytes() == 0 && messages_.outbox().held_bytes() == 0 &&
         acked_bytes_ == round_acked_;
}

Duration Core::round_length() const {
  return rests() ? kRoundMost : std::clamp<Duration>(rtt(), kRoundLeast, kRoundMost);
}

void Core::on_path_info(Time now, PathId id, const PathInfo& info) {
  advance(now);
  Path* path = paths_.find(id);
  if (ended_) return;
  if (path != nullptr) {
    measure(*path, info);
    path->info = info;
  }
  if (samples_out_ > 0 && --samples_out_ == 0) on_round();
}

void Core::measure(Path& path, const PathInfo& info) {
  knows_loss_ = true;
  const PathInfo before = path.info.value_or(PathInfo{});
  if (info.bytes_delivered > before.bytes_delivered) {
    knows_delivered_ = true;
    round_delivered_ += info.bytes_delivered - before.bytes_delivered;
    path.heart.on_progress(now_, info.rtt);
    segments_.on_delivered(info.bytes_delivered);
  }
  if (info.bytes_sent < before.bytes_sent ||
      info.bytes_retransmitted < before.bytes_retransmitted) {
    return;  // counters that fall say nothing
  }
  round_sent_ += info.bytes_sent - before.bytes_sent;
  const std::uint64_t resent = info.bytes_retransmitted - before.bytes_retransmitted;
  round_resent_ += resent;
  epoch_resent_ += resent;
  if (resent > 0) lossy_until_ = now_ + kLossRemembered;
}

// A round is judged by what the kernels say at its end. A round trip later would be too late: while
// connections ramp up their rate doubles in that time. An owner that says nothing, or a path that
// is gone before it was asked, holds it up until the next input at most.
void Core::end_round() {
  if (samples_out_ > 0) return on_round();
  for (const auto& path : paths_) {
    if (!path->open()) continue;
    ++samples_out_;
    outputs_.push(Sample{path->id});
  }
  if (samples_out_ == 0) on_round();
}

// What the peer's session acknowledged comes in jumps where packets are lost, for a stream waits
// for each of them: two rounds' bytes in one after none in the other. The kernel counts what
// arrived.
std::uint64_t Core::delivered_in_round() const {
  const std::uint64_t acked = acked_bytes_ - round_acked_;
  if (!knows_delivered_) return acked;
  return round_delivered_ + std::min(acked, round_datagram_bytes_);
}

void Core::on_round() {
  samples_out_ = 0;
  Round round;
  round.length = now_ - round_since_;
  round.delivered_bytes = delivered_in_round();
  const Duration bulk = paths_.rtt_least(PathRole::kBulk);
  round.rtt = bulk == Duration{} ? rtt() : bulk;
  round.resent_ppm = round_sent_ == 0 ? 0
                                      : static_cast<std::uint32_t>(std::min<std::uint64_t>(
                                            round_resent_ * 1'000'000 / round_sent_, 1'000'000));
  const bool busy = up_ && !messages_.waits_for_credit() && messages_.queued_bytes() > 0;
  const std::uint64_t by_datagram = std::min(round.delivered_bytes, round_datagram_bytes_);
  // As fast as the user lets them, datagrams are not throttled by the network.
  const bool limited =
      limit_.value() > 0 && limit_.bytes_in(round.length).value() / 10 * 9 <= by_datagram;
  const bool gives_way = limited || mode_ == datagram::RateMode::kBackground ||
                         (datagrams_ != nullptr && datagrams_->channel().rate().beside_others());
  const bool had = choice_.datagrams();
  choice_.on_round(now_, {round.length, by_datagram, round.delivered_bytes - by_datagram, rtt(),
                          busy, gives_way});
  round_datagram_bytes_ = 0;
  share_limit();
  if (datagrams_ != nullptr &&
      ((!had && choice_.datagrams()) || slice_ != choice_.datagram_cap())) {
    slice_ = choice_.datagram_cap();
    // Of a test that ended in a stall, what the connections carried is not known.
    const bool tests = choice_.reason() == ChoiceReason::kTesting;
    datagrams_->channel().rate().take_over(now_, tests ? choice_.carried() : BytesPerSecond(),
                                           slice_);
  }
  // What datagrams carry says nothing about the connections.
  const bool alone = choice_.reason() == ChoiceReason::kNone ||
                     choice_.reason() == ChoiceReason::kUnanswered ||
                     choice_.reason() == ChoiceReason::kThrottled;
  round.limited_by_link =
      alone && !starved_ && up_ && !messages_.waits_for_credit() && messages_.queued_bytes() > 0;
  if (up_) rate_.on_round(now_, round);
  learn(round.limited_by_link);
  BytesPerSecond capacity = rate_.capacity();
  if (datagrams_ != nullptr && choice_.datagrams()) {
    capacity = std::max(capacity, datagrams_->channel().rate().state().capacity);
  }
  messages_.set_link(rtt(), capacity);

  epoch_starved_ = epoch_starved_ || !round.limited_by_link;
  round_since_ = now_;
  round_acked_ = acked_bytes_;
  epoch_delivered_ += round.delivered_bytes;
  round_sent_ = round_resent_ = round_delivered_ = 0;
  starved_ = false;
  if (now_ - epoch_since_ >= std::max<Duration>(kEpochLeast, kEpochRounds * rtt()))
    on_epoch(!epoch_starved_);
  if (rate_.cap() != reported_cap_) {
    reported_cap_ = rate_.cap();
    emit(RateCapped{reported_cap_});
  }
  tune();
}

// The user's limit is for both together. At least a tenth is left to the datagrams, for control.
void Core::share_limit() {
  if (limit_.value() == 0 || datagrams_ == nullptr) return;
  const std::uint64_t taken = std::min(choice_.stream_cap().value(), limit_.value() / 10 * 9);
  datagrams_->channel().rate().set_limit(BytesPerSecond(limit_.value() - taken));
}

void Core::on_epoch(bool limited) {
  Epoch epoch;
  const auto us =
      static_cast<std::uint64_t>(std::max<std::int64_t>(1, (now_ - epoch_since_) / 1us));
  epoch.sum = BytesPerSecond(std::exchange(epoch_delivered_, 0) * 1'000'000 / us);
  epoch.open = paths_.count(now_, PathRole::kBulk).open;
  epoch.limited_by_link = limited;
  epoch.rtt_min = rate_.rtt_min();
  // A cap that is not reached is not what holds us.
  const bool reached = epoch.sum.value() >= rate_.cap().value() / 10 * 9;
  epoch.link_full = (rate_.link_full() && reached) ||
                    (limit_.value() > 0 && epoch.sum.value() >= limit_.value() / 10 * 9);
  const bool bbr = std::any_of(paths_.begin(), paths_.end(), [](const auto& path) {
    return path->info.has_value() && path->info->bbr;
  });
  epoch.loss_limited = std::exchange(epoch_resent_, 0) > 0 && !bbr;
  epoch_since_ = now_;
  epoch_starved_ = false;
  if (!dials_) return;  // K is the dialling side's to choose
  if (const auto change = k_.on_epoch(epoch)) emit(*change);
}

void Core::tune() {
  const std::uint32_t bulk_paths = std::max(1U, paths_.count(now_, PathRole::kBulk).open);
  const BytesPerSecond all = cap().value() > 0 ? cap() : rate_.capacity();
  const BytesPerSecond share(all.value() / bulk_paths);
  for (const auto& path : paths_) {
    if (path->open()) tune(*path, share, bulk_paths);
  }
}

// Control connections are never paced: what they carry is small and urgent. A change under an
// eighth is not worth a system call.
void Core::tune(Path& path, BytesPerSecond share, std::uint32_t bulk_paths) {
  Tune want;
  want.path = path.id;
  want.bbr = true;
  // The budget bounds the sum. A path may have twice its share, for those whose windows are small:
  // they left slow start early or are in recovery. With a quarter more, fourteen CUBIC connections
  // carried 43 MB/s under a cap of 58 (sim, 500 Mbit/s, 180 ms).
  if (cap().value() > 0 && path.role == PathRole::kBulk)
    want.pacing = BytesPerSecond(share.value() * 2);
  // A slice beside datagrams, of fourteen connections, is so little for each that a frame would
  // take a second: it goes in small frames, each at the pace of the whole.
  const bool sliced = choice_.stream_cap().value() > 0;
  if (sliced && path.role == PathRole::kBulk) want.pacing = cap();
  want.unsent_max_bytes = kUnsentUnknown / std::min(bulk_paths, 4U);
  if (share.value() > 0 && (rate_.link_full() || sliced)) {
    const std::uint64_t span = share.bytes_in(kUnsentSpan).value();
    const std::uint64_t least = std::clamp<std::uint64_t>(share.bytes_in(kUnsentSpanMost).value(),
                                                          kUnsentSlow, kUnsentLeast);
    want.unsent_max_bytes =
        static_cast<std::uint32_t>(std::clamp<std::uint64_t>(span, least, kUnsentMost));
  } else if (share.value() > 0) {
    // The rate still grows: room for it to double between two rounds.
    const std::uint64_t span = 2 * share.bytes_in(kUnsentSpan).value();
    want.unsent_max_bytes = static_cast<std::uint32_t>(
        std::clamp<std::uint64_t>(span, kUnsentUnknown / std::min(bulk_paths, 4U), kUnsentMost));
  }
  const auto near = [](std::uint64_t a, std::uint64_t b) {
    return a <= b + b / 8 && b <= a + a / 8;
  };
  if (path.tuned.has_value() && near(path.tuned->pacing.value(), want.pacing.value()) &&
      near(path.tuned->unsent_max_bytes, want.unsent_max_bytes)) {
    return;
  }
  path.tuned = want;
  outputs_.push(want);
}

void Core::on_writable(Time now, PathId id, std::size_t bytes) {
  advance(now);
  Path* path = paths_.find(id);
  if (ended_ || path == nullptr) return;
  path->writable = bytes;
  if (bytes > 0) path->overdraft = 0;
}

// Of rounds in which nothing but the link was in the way: a session that rests, or that its user or
// a disk holds back, delivers far less than its link carries.
void Core::learn(bool limited_by_link) {
  if (limit_.value() > 0) return;
  if (datagrams_ != nullptr && choice_.datagrams()) {
    const datagram::KnownLink known = datagrams_->channel().rate().learned();
    if (known.rate.value() > 0) learned_ = known;
  } else if (limited_by_link) {
    learned_ = {rate_.capacity(), rate_.rtt_min()};
  }
}

LinkMemory Core::learned() const {
  LinkMemory memory;
  if (mode_ == datagram::RateMode::kBackground) return memory;  // what it left to others is no rate
  memory.rate = learned_.rate;
  memory.rtt_min = learned_.rtt_min;
  memory.loss_ppm = rate_.loss_ppm();
  memory.bulk_paths = k_.wanted();
  memory.datagrams = datagrams_ != nullptr && choice_.datagrams();
  for (const auto& path : paths_) memory.bbr = memory.bbr || (path->info && path->info->bbr);
  return memory;
}

}  // namespace longhaul::session
