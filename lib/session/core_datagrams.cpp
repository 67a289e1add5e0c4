// The datagram path of a session: its keys, its inputs, what it takes over and what is taken over
// from it.
#include <algorithm>
#include <utility>

#include "lib/base/escape.hpp"
#include "lib/session/core.hpp"

namespace longhaul::session {

namespace {
constexpr Duration kEpochLife = std::chrono::hours(1);
constexpr Duration kEpochPause = 5s;         // the dialler waits twice that: clocks differ
constexpr int kEpochsAhead = 8;              // at once: they may leap
constexpr Duration kStalledRenewal = 10min;  // the peer's keys may be worn out
}  // namespace

void Core::on_datagram_peer(Time now, const datagram::Address& peer) {
  advance(now);
  datagram_peer_ = peer;
}

// Keys come from a connection that both ends have finished: the dialler's own Finished is out, and
// the other side has judged its key.
void Core::begin_datagrams(const Path& primary, std::uint32_t number) {
  if (!options_.datagrams || options_.trace != nullptr || options_.paths != nullptr) return;
  if (dials_ && !datagram_peer_.has_value()) return;
  datagram::ChannelOptions how;
  how.peer = dials_ ? datagram_peer_ : std::nullopt;
  how.limits = options_.datagram_limits;
  how.buffers = &pool_;
  how.rate.mode = mode_;
  how.rate.limit = limit_;
  how.rate.handshake_rtt = primary.handshake_rtt;
  if (datagrams_ != nullptr) {
    how.rate.known = datagrams_->channel().rate().learned();
    how.peer = datagrams_->channel().route().current();
    end_datagrams();
  } else if (!options_.learned.empty()) {
    how.rate.known = {options_.learned.rate, options_.learned.rtt_min};
  }
  datagram::EpochKeys keys = epoch_keys(*primary.stream, association_->token, number, dials_,
                                        (capabilities_seen_ & kCapabilityChaCha) != 0);
  keys.stages = options_.stages;
  next_epoch_number_ = number + 1;
  datagrams_ =
      std::make_unique<DatagramPath>(now_, number, keys, how, messages_, [this] { return held(); });
  datagrams_->channel().on_blocked(datagrams_blocked_);
  outputs_.push(ClaimDatagrams{keys.receive_id, true});
  choice_.on_begin(now_);
}

// Once; who does not know the frame sends as it did before there was one.
void Core::say_mode(Path& path) {
  if (std::exchange(said_mode_, true) || mode_ == datagram::RateMode::kFair) return;
  wire::Mode said;
  said.mode =
      mode_ == datagram::RateMode::kMax ? wire::SendMode::kMax : wire::SendMode::kBackground;
  path.stream->send(wire::FrameType::kMode, said);
}

void Core::on_mode(const wire::Mode& said) {
  if (dials_) return;  // what we send is ours to choose
  mode_ = said.mode == wire::SendMode::kMax          ? datagram::RateMode::kMax
          : said.mode == wire::SendMode::kBackground ? datagram::RateMode::kBackground
                                                     : datagram::RateMode::kFair;
  if (datagrams_ != nullptr) datagrams_->channel().rate().set_mode(mode_);
}

// What was in flight goes over whatever path is next.
void Core::end_datagrams() {
  if (datagrams_ == nullptr) return;
  outputs_.push(ClaimDatagrams{datagrams_->channel().protection().receive_id(), false});
  datagrams_->channel().give_up(now_);
  acked_bytes_ += datagrams_->take_acked_bytes();
  datagrams_.reset();
  slice_ = {};
  choice_.on_end(now_);
}

void Core::on_datagrams(Time now, const datagram::Address& from, const Slice& in,
                        std::size_t each_bytes, Duration ago, std::uint64_t socket_drops) {
  advance(now);
  if (ended_ || datagrams_ == nullptr) return;
  datagrams_->channel().on_socket_drops(socket_drops);
  const std::size_t each = each_bytes == 0 ? in.size() : each_bytes;
  for (std::size_t at = 0; at < in.size(); at += each) {
    const Bytes one = in.bytes().subspan(at, std::min(each, in.size() - at));
    if (auto read = datagrams_->channel().on_datagram(now_, from, one, ago); !read.has_value()) {
      end(now_, read.error(), RefuseReason::kNone, true);
      return;
    }
  }
  if (const auto goodbye = datagrams_->take_goodbye()) {
    on_goodbye(*goodbye);
    return;
  }
  settle();
}

void Core::on_datagrams_blocked(Time now, bool blocked) {
  advance(now);
  datagrams_blocked_ = blocked;
  if (datagrams_ != nullptr) datagrams_->channel().on_blocked(blocked);
}

void Core::on_datagram_too_big(Time now, std::size_t bytes) {
  advance(now);
  if (datagrams_ != nullptr) datagrams_->channel().on_too_big(bytes);
}

// After every input.
void Core::tend_datagrams() {
  if (datagrams_ == nullptr) return;
  datagram::Channel& channel = datagrams_->channel();
  const std::uint64_t acked = datagrams_->take_acked_bytes();
  acked_bytes_ += acked;
  round_datagram_bytes_ += acked;
  if (channel.counters().lost != datagram_lost_) {
    datagram_lost_ = channel.counters().lost;
    lossy_until_ = now_ + kLossRemembered;
  }
  datagrams_->set_lossy(now_ < lossy_until_);
  const bool over = channel.life() == datagram::Life::kOver;
  const bool heard = channel.heard(now_);
  choice_.on_life(now_, heard, channel.life() == datagram::Life::kStalled || over);
  channel.rest(!choice_.datagrams() && heard);
  if (choice_.reason() != reported_choice_) {
    reported_choice_ = choice_.reason();
    emit(PathChosen{choice_.datagrams(), reported_choice_});
  }
  const Duration age = now_ - datagrams_->since();
  const bool stalled = channel.life() == datagram::Life::kStalled && age >= kStalledRenewal;
  if (dials_ && age >= 2 * kEpochPause && (over || stalled || age >= kEpochLife)) renew_datagrams();
}

// The dialling side begins an epoch and says so on a connection that the peer has accepted.
void Core::renew_datagrams() {
  Path* primary = paths_.carrier(now_, 0);
  if (primary == nullptr || !primary->accepted) return;
  const std::uint32_t number = datagrams_->epoch() + 1;
  primary->stream->send(wire::FrameType::kEpoch, wire::Epoch{number});
  begin_datagrams(*primary, number);
}

Core::Outcome Core::on_epoch_frame(Path& path, const wire::Epoch& epoch) {
  const bool spoken = (capabilities_ & kCapabilityDatagrams) != 0;
  if (dials_ || !spoken || epoch.number == 0)
    return fail(Kind::kMalformed, "read a frame", "an epoch out of turn");
  // One may be lost with its connection, or come over a slow one behind the next; never is a number
  // begun twice, for on one connection that would be the same keys.
  if (epoch.number < next_epoch_number_) return {};
  // One a pause over time. A laptop whose clock leaps by an hour, twice, has two due at once.
  if (next_epoch_ - now_ >= kEpochsAhead * kEpochPause)
    return fail(Kind::kLimit, "begin an epoch", "too soon after the last");
  next_epoch_ = std::max(next_epoch_, now_) + kEpochPause;
  begin_datagrams(path, epoch.number);
  return {};
}

bool Core::datagrams_alive() const {
  return datagrams_ != nullptr && datagrams_->channel().heard(now_);
}

std::optional<Output> Core::next_datagrams() {
  if (datagrams_ == nullptr) return std::nullopt;
  auto batch = datagrams_->channel().poll(now_);
  if (!batch.has_value()) return std::nullopt;
  services_due_ = true;  // there is room in a lane
  return SendDatagrams{batch->to, std::move(batch->bytes), batch->each_bytes};
}

// Where no connection lives to say it on.
void Core::say_goodbye_in_datagrams(const wire::Goodbye& goodbye) {
  if (!datagrams_alive()) return;
  datagrams_->say_goodbye(goodbye);
  while (auto output = next_datagrams()) outputs_.push(std::move(*output));
}

}  // namespace longhaul::session
