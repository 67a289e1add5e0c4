#include "lib/session/path_choice.hpp"

#include <algorithm>

namespace longhaul::session {

namespace {
constexpr Duration kTestLeast = 4s;
constexpr std::int64_t kTestRoundTrips = 20;
constexpr Duration kPauseLeast = 30s, kPauseMost = 16min;
constexpr std::uint64_t kPauseFactor = 8;

BytesPerSecond rate_of(std::uint64_t bytes, Duration span) {
  const auto us = static_cast<std::uint64_t>(std::max<std::int64_t>(1, span / 1us));
  return BytesPerSecond(bytes * 1'000'000 / us);
}
}  // namespace

std::string_view name_of(ChoiceReason reason) {
  switch (reason) {
    case ChoiceReason::kNone:
      return "TLS only";
    case ChoiceReason::kTrying:
      return "no datagram is answered yet";
    case ChoiceReason::kAnswered:
      return "datagrams are answered";
    case ChoiceReason::kUnanswered:
      return "datagrams go unanswered";
    case ChoiceReason::kTesting:
      return "trying whether the other is faster";
    case ChoiceReason::kThrottled:
      return "datagrams are slower than TLS here";
  }
  return "unknown";
}

ChoiceReason PathChoice::reason() const {
  switch (mode_) {
    case Mode::kOff:
      return ChoiceReason::kNone;
    case Mode::kTrying:
      return ChoiceReason::kTrying;
    case Mode::kSilent:
      return ChoiceReason::kUnanswered;
    case Mode::kDatagrams:
      return ChoiceReason::kAnswered;
    case Mode::kTestStreams:
    case Mode::kTestDatagrams:
      return ChoiceReason::kTesting;
    case Mode::kStreams:
      return ChoiceReason::kThrottled;
  }
  return ChoiceReason::kNone;
}

void PathChoice::check() const {
  ASSERT(datagrams() || streams());
  ASSERT(kPauseLeast <= pause_ && pause_ <= kPauseMost);
  const bool tests = mode_ == Mode::kTestStreams || mode_ == Mode::kTestDatagrams;
  ASSERT(tests || (test_bytes_ == 0 && test_span_ == Duration{}));
  ASSERT(Duration{} <= test_span_ && test_span_ <= busy_for_);
}

void PathChoice::enter(Time now, Mode mode) {
  mode_ = mode;
  since_ = now;
  busy_for_ = {};
  test_bytes_ = 0;
  test_span_ = {};
}

void PathChoice::on_begin(Time now) {
  enter(now, Mode::kTrying);
}
void PathChoice::on_end(Time now) {
  enter(now, Mode::kOff);
}

void PathChoice::on_life(Time now, bool answered, bool stalled) {
  if (mode_ == Mode::kOff) return;
  const bool silent = mode_ == Mode::kTrying || mode_ == Mode::kSilent;
  if (answered && silent) {
    enter(now, Mode::kDatagrams);
    alone_ = {};
  } else if (stalled && mode_ != Mode::kSilent && mode_ != Mode::kStreams) {
    enter(now, Mode::kSilent);
  }
}

void PathChoice::on_round(Time now, const Round& round) {
  if (!round.busy) {
    busy_for_ = {};
    if (mode_ == Mode::kTestStreams) enter(now, Mode::kDatagrams);
    if (mode_ == Mode::kTestDatagrams) enter(now, Mode::kStreams);
    return;
  }
  busy_for_ += round.length;
  if (round.gives_way) gave_way_ = now;
  const bool by_datagram = mode_ == Mode::kDatagrams;
  if (by_datagram || mode_ == Mode::kStreams) {
    const std::uint64_t bytes = by_datagram ? round.datagram_bytes : round.stream_bytes;
    const BytesPerSecond rate = rate_of(bytes, round.length);
    alone_ = std::max(rate, BytesPerSecond(alone_.value() - alone_.value() / 64));
    if (busy_for_ < pause_) return;
    if (by_datagram && gave_way_ && now - *gave_way_ < kPauseLeast) return;
    pause_ = std::min<Duration>(pause_ * kPauseFactor, kPauseMost);
    enter(now, by_datagram ? Mode::kTestStreams : Mode::kTestDatagrams);
    return;
  }
  if (mode_ != Mode::kTestStreams && mode_ != Mode::kTestDatagrams) return;
  const Duration test = std::max<Duration>(kTestLeast, kTestRoundTrips * round.rtt);
  if (busy_for_ * 2 > test) {  // the first half is for its start
    test_bytes_ += mode_ == Mode::kTestStreams ? round.stream_bytes : round.datagram_bytes;
    test_span_ += round.length;
  }
  if (busy_for_ < test) return;
  const bool faster = rate_of(test_bytes_, test_span_) > alone_;
  const bool to_streams = (mode_ == Mode::kTestStreams) == faster;
  if (faster) alone_ = rate_of(test_bytes_, test_span_);
  enter(now, to_streams ? Mode::kStreams : Mode::kDatagrams);
}

}  // namespace longhaul::session
