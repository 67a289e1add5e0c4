#include "lib/datagram/route.hpp"

#include <algorithm>
#include <limits>

#include "lib/crypto/kdf.hpp"

namespace longhaul::datagram {

namespace {
constexpr std::uint64_t kAmplification = 3;
constexpr Duration kChallengePause = 250ms;
constexpr std::uint32_t kChallengesMax = 12;  // three seconds of silence: there is nobody
}  // namespace

Route::Route(const crypto::Digest& secret, std::optional<Address> peer)
    : secret_(secret), current_(peer), validated_(peer.has_value()) {}

Token Route::make_token() {
  std::array<std::byte, 8> count{};
  store_le<std::uint64_t>(count, ++tokens_);
  const crypto::Digest mac =
      crypto::hmac_sha256(secret_.bytes(), {bytes_of("longhaul challenge"), count});
  Token token;
  std::copy_n(mac.bytes().begin(), token.size(), token.begin());
  return token;
}

void Route::begin(Time now, Trial& trial, const Address& address) {
  trial = Trial{address, make_token(), true, now, 0};
}

Route::Change Route::on_packet(Time now, const Address& from, std::size_t bytes, bool newest) {
  if (current_ == from) {
    if (!validated_) received_ += bytes;
    return Change::kNone;
  }
  if (!newest) return Change::kNone;
  if (old_ == from) {  // it has sent since: the candidate was a replay, or the way back is open
    const Change change = adopt(from);
    validated_ = true;
    old_.reset();
    current_trial_.pending = old_trial_.pending = false;
    return change;
  }
  if (old_.has_value()) return Change::kNone;  // one candidate at a time
  const bool first = !current_.has_value();
  if (validated_) {
    old_ = current_;
    begin(now, old_trial_, *current_);
  }
  const Change change = first ? Change::kNone : adopt(from);
  current_ = from;
  validated_ = false;
  received_ = bytes;
  sent_ = 0;
  begin(now, current_trial_, from);
  return change;
}

Route::Change Route::adopt(const Address& address) {
  const Change change = current_->same_host(address) ? Change::kPort : Change::kHost;
  current_ = address;
  return change;
}

// Whatever way the answer took: who sends it has read the challenge, which went to that address.
Route::Change Route::on_response(const Token& token, const Address&) {
  if (current_trial_.pending && token == current_trial_.token) {
    current_trial_.pending = old_trial_.pending = false;
    validated_ = true;
    old_.reset();
  } else if (old_trial_.pending && token == old_trial_.token) {
    old_trial_.pending = false;  // both live: the one with the newest packet stays in use
  }
  return Change::kNone;
}

void Route::challenge_again(Time now) {
  if (current_.has_value()) begin(now, current_trial_, *current_);
}

std::uint64_t Route::room() const {
  if (!current_.has_value()) return 0;
  if (validated_) return std::numeric_limits<std::uint64_t>::max();
  return kAmplification * received_ - std::min(kAmplification * received_, sent_);
}

void Route::on_sent(const Address& to, std::size_t bytes) {
  if (!validated_ && current_ == to) sent_ += bytes;
}

std::optional<Route::Challenge> Route::take_challenge(Time now) {
  for (Trial* trial : {&current_trial_, &old_trial_}) {
    if (!trial->pending || trial->next > now) continue;
    trial->next = now + kChallengePause;
    if (++trial->sent > kChallengesMax) {
      trial->pending = false;
      // Nobody answers there; what was in use before is all there is.
      if (trial == &current_trial_ && old_.has_value()) {
        adopt(*old_);
        old_.reset();
        validated_ = true;
        old_trial_.pending = false;
      }
      continue;
    }
    return Challenge{trial->address, trial->token};
  }
  return std::nullopt;
}

std::optional<Time> Route::challenge_at() const {
  std::optional<Time> at;
  for (const Trial* trial : {&current_trial_, &old_trial_}) {
    if (trial->pending) at = std::min(at.value_or(Time::max()), trial->next);
  }
  return at;
}

}  // namespace longhaul::datagram
