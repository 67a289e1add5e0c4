#include "lib/session/path_choice.hpp"

#include <algorithm>

namespace longhaul::session {

namespace {
constexpr Duration kTestLeast = 4s;
constexpr std::int64_t kTestRoundTrips = 20;
constexpr Duration kPauseLeast = 30s, kPauseMost = 16min;
constexpr std::int64_t kPauseFactor = 8;
// A slice grows over three round trips, so that datagrams on the same bottleneck can make room for
// it: an eighth of the link in one round trip would stand as 22 ms of queue at 180 ms. The rest of
// the first half is for what was sent before to arrive.
constexpr Duration kStepLeast = 1s;
constexpr std::int64_t kStepRoundTrips = 8, kRampRoundTrips = 3;
constexpr std::uint64_t kFirstShare = 8;  // the first slice is one in so many
constexpr BytesPerSecond kSliceLeast(4'096);
constexpr Duration kMeanSpan = 4s;
// Datagrams in eighths of what the connections carried. A slice that lost a quarter on its way is
// throttled: no link on which one works loses as much. All of it is carried by what misses it by
// less than the difference of two rate controls on one link.
constexpr std::uint64_t kSliceArrives = 6, kAllArrives = 7;

BytesPerSecond rate_of(std::uint64_t bytes, Duration span) {
  const auto us = static_cast<std::uint64_t>(std::max<std::int64_t>(1, span / 1us));
  return BytesPerSecond(bytes * 1'000'000 / us);
}
// From `from` to `to`, `at` of `whole` of the way. Never zero, which would be no cap.
BytesPerSecond between(BytesPerSecond from, BytesPerSecond to, Duration at, Duration whole) {
  const auto part = static_cast<std::uint64_t>(std::clamp<std::int64_t>(
      at / 1us * 1'000 / std::max<std::int64_t>(1, whole / 1us), 0, 1'000));
  const std::uint64_t mean = (from.value() * (1'000 - part) + to.value() * part) / 1'000;
  return BytesPerSecond(std::max<std::uint64_t>(mean, 1));
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
    case Mode::kTestAlone:
      return ChoiceReason::kTesting;
    case Mode::kStreams:
      return ChoiceReason::kThrottled;
  }
  return ChoiceReason::kNone;
}

BytesPerSecond PathChoice::stream_cap() const {
  if (mode_ != Mode::kTestDatagrams) return slice_now_;
  return BytesPerSecond(std::max(mean_.value() - slice_now_.value(), kSliceLeast.value()));
}
BytesPerSecond PathChoice::datagram_cap() const {
  return mode_ == Mode::kTestDatagrams ? slice_now_ : BytesPerSecond();
}

void PathChoice::check() const {
  ASSERT(datagrams() || streams());
  ASSERT(kPauseLeast <= pause_ && pause_ <= kPauseMost);
  const bool sliced = mode_ == Mode::kTestStreams || mode_ == Mode::kTestDatagrams;
  ASSERT(sliced || mode_ == Mode::kTestAlone || (test_bytes_ == 0 && test_span_ == Duration{}));
  ASSERT(Duration{} <= test_span_ && test_span_ <= busy_for_);
  ASSERT(sliced == (slice_now_.value() > 0));
  ASSERT(slice_before_ <= slice_now_ && slice_now_ <= slice_);
  ASSERT(mode_ != Mode::kTestDatagrams || slice_ < mean_);
  ASSERT(test_bytes_ <= both_bytes_);
}

void PathChoice::enter(Mode mode) {
  mode_ = mode;
  busy_for_ = {};
  test_bytes_ = both_bytes_ = 0;
  test_span_ = step_for_ = {};
  slice_ = slice_before_ = slice_now_ = {};
}

// The next slice for who is tested, from what it had, over the next round trips.
void PathChoice::offer(BytesPerSecond slice) {
  slice_before_ = slice_;
  slice_ = slice;
  slice_now_ = between(slice_before_, slice_, 1s, 4s);
  test_bytes_ = both_bytes_ = 0;
  test_span_ = step_for_ = {};
}

void PathChoice::on_begin(Time) {
  pause_ = kPauseLeast;  // what was found before is not known any more
  enter(Mode::kTrying);
}
void PathChoice::on_end(Time) {
  enter(Mode::kOff);
}

void PathChoice::on_life(Time, bool answered, bool stalled) {
  if (mode_ == Mode::kOff) return;
  const bool silent = mode_ == Mode::kTrying || mode_ == Mode::kSilent;
  if (answered && silent) {
    enter(Mode::kDatagrams);
    alone_ = mean_ = {};
  } else if (stalled && (mode_ == Mode::kTestDatagrams || mode_ == Mode::kTestAlone)) {
    enter(Mode::kStreams);  // not even that much: an answer to a probe is no reason to prefer them
  } else if (stalled && mode_ != Mode::kSilent && mode_ != Mode::kStreams) {
    enter(Mode::kSilent);
  }
}

void PathChoice::on_round(Time now, const Round& round) {
  if (!round.busy) {
    busy_for_ = {};
    if (mode_ == Mode::kTestStreams) enter(Mode::kDatagrams);
    if (mode_ == Mode::kTestDatagrams || mode_ == Mode::kTestAlone) enter(Mode::kStreams);
    return;
  }
  busy_for_ += round.length;
  if (round.gives_way) gave_way_ = now;
  if (mode_ == Mode::kDatagrams || mode_ == Mode::kStreams) return watch(now, round);
  if (mode_ == Mode::kTestStreams) return test_streams(round);
  if (mode_ == Mode::kTestDatagrams) return test_datagrams(round);
  if (mode_ == Mode::kTestAlone) return test_alone(round);
}

void PathChoice::watch(Time now, const Round& round) {
  const bool by_datagram = mode_ == Mode::kDatagrams;
  const BytesPerSecond rate =
      rate_of(by_datagram ? round.datagram_bytes : round.stream_bytes, round.length);
  alone_ = std::max(rate, BytesPerSecond(alone_.value() - alone_.value() / 64));
  mean_ = mean_.value() == 0 ? rate : between(mean_, rate, round.length, kMeanSpan);
  if (busy_for_ < pause_) return;
  if (by_datagram && gave_way_ && now - *gave_way_ < kPauseLeast) return;
  pause_ = std::min<Duration>(pause_ * kPauseFactor, kPauseMost);
  const BytesPerSecond slice = std::max(BytesPerSecond(mean_.value() / kFirstShare), kSliceLeast);
  if (!by_datagram && slice >= mean_) return enter(Mode::kTestAlone);
  enter(by_datagram ? Mode::kTestStreams : Mode::kTestDatagrams);
  offer(slice);
}

// True at the end of a step, whose second half is counted, `bytes` of it for who is tested.
bool PathChoice::step(const Round& round, std::uint64_t bytes) {
  const Duration step = std::max<Duration>(kStepLeast, kStepRoundTrips * round.rtt);
  step_for_ += round.length;
  if (step_for_ * 2 > step) {
    test_bytes_ += bytes;
    both_bytes_ += round.stream_bytes + round.datagram_bytes;
    test_span_ += round.length;
  }
  slice_now_ = between(slice_before_, slice_, step_for_ + round.length,
                       step * kRampRoundTrips / kStepRoundTrips);
  return step_for_ >= step;
}

void PathChoice::test_streams(const Round& round) {
  // They make room for the connections: the bottleneck is one and the same.
  if (round.gives_way) return enter(Mode::kDatagrams);
  if (!step(round, round.stream_bytes)) return;
  const BytesPerSecond streams = rate_of(test_bytes_, test_span_);
  if (streams > alone_) {
    alone_ = mean_ = streams;
    // How long a throttle holds is not known yet; of one that comes again it is.
    if (pause_ <= kPauseLeast * kPauseFactor) pause_ = kPauseLeast;
    return enter(Mode::kStreams);
  }
  const std::uint64_t least = mean_.value() + slice_.value() / 2;
  if (rate_of(both_bytes_, test_span_).value() < least) return enter(Mode::kDatagrams);
  offer(BytesPerSecond(slice_.value() * 2));
}

void PathChoice::test_datagrams(const Round& round) {
  if (!step(round, round.datagram_bytes)) return;
  if (rate_of(test_bytes_, test_span_).value() < slice_.value() / 8 * kSliceArrives)
    return enter(Mode::kStreams);
  const BytesPerSecond next(slice_.value() * 2);
  if (next.value() >= mean_.value() / 8 * 7) return enter(Mode::kTestAlone);
  offer(next);
}

void PathChoice::test_alone(const Round& round) {
  const Duration test = std::max<Duration>(kTestLeast, kTestRoundTrips * round.rtt);
  if (busy_for_ * 2 > test) {  // the first half is for what is still to come over the connections
    test_bytes_ += round.datagram_bytes;
    both_bytes_ += round.stream_bytes + round.datagram_bytes;
    test_span_ += round.length;
  }
  if (busy_for_ < test) return;
  const BytesPerSecond rate = rate_of(test_bytes_, test_span_);
  const bool carries = rate.value() > 0 && rate.value() >= mean_.value() / 8 * kAllArrives;
  if (carries) alone_ = mean_ = rate;
  enter(carries ? Mode::kDatagrams : Mode::kStreams);
  // A throttle may let some seconds pass before it closes.
  if (carries) busy_for_ = pause_ - kPauseLeast;
}

}  // namespace longhaul::session
