// PathChoice: whether bulk goes in datagrams or over the TLS connections. Datagrams are preferred
// as soon as they are answered; until then both carry, so that neither has to be waited for. While
// there is always something to send the other way is tried beside the one in use, now and then: a
// network that throttles one of them shows it by carrying more on the other than the first carried
// alone.
//
// Beside datagrams the connections get a slice, an eighth of what the datagrams carry. Where both
// share one bottleneck the datagrams make room for it, and the sum stays as it was: the test is
// over, at the cost of a few milliseconds of queue, where a bundle of TLS connections would fill
// it. Where the datagrams are throttled the sum rises by the slice, which then doubles until the
// connections carry more than the datagrams did. Not while datagrams give way to others: the
// connections would take from them what we leave to them, and then be called the faster.
//
// Beside connections it is the datagrams that get the slice, and the connections keep the rest of
// what they carried: the sum is no more than it was. A slice that arrives doubles; then the
// datagrams have all of it for a while, and keep it if they carry as much as the connections did,
// or nearly: what is urgent waits less in them. A slice that does not arrive is the throttle.
//
// A pure rule over rounds of about one round trip. Not thread-safe.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "lib/base/units.hpp"

namespace longhaul::session {

enum class ChoiceReason : std::uint8_t {
  kNone,        // datagrams are not in use
  kTrying,      // no answer to a datagram yet: both carry
  kAnswered,    // datagrams are answered
  kUnanswered,  // datagrams go unanswered: blocked, or the path is dead
  kTesting,     // both carry, or the other alone, to see which is faster
  kThrottled,   // the connections carried more than the datagrams
};
std::string_view name_of(ChoiceReason reason);

class PathChoice {
 public:
  struct Round {
    Duration length{};
    std::uint64_t datagram_bytes = 0, stream_bytes = 0;  // acknowledged in it
    Duration rtt{};
    bool busy = false;  // there was always something to send
    // Datagrams carried less than they might, for the sake of others on the link or by the user's
    // limit: not throttled.
    bool gives_way = false;
  };

  void on_begin(Time now);  // keys for datagrams are there
  void on_end(Time now);    // they are over
  // answered: Life::kAlive; stalled: Life::kStalled.
  void on_life(Time now, bool answered, bool stalled);
  void on_round(Time now, const Round& round);

  bool datagrams() const {
    return mode_ != Mode::kOff && mode_ != Mode::kSilent && mode_ != Mode::kStreams;
  }
  bool streams() const { return mode_ != Mode::kDatagrams && mode_ != Mode::kTestAlone; }
  // What either may send in a test of both, the connections together; zero: no cap.
  BytesPerSecond stream_cap() const;
  BytesPerSecond datagram_cap() const;
  BytesPerSecond carried() const { return mean_; }  // by the way in use, lately
  ChoiceReason reason() const;
  void check() const;  // invariants

 private:
  enum class Mode : std::uint8_t {
    kOff,
    kTrying,
    kSilent,
    kDatagrams,
    kTestStreams,
    kStreams,
    kTestDatagrams,
    kTestAlone,  // the datagrams had their slices, and have all of it
  };
  void enter(Mode mode);
  void watch(Time now, const Round& round);
  bool step(const Round& round, std::uint64_t bytes);
  void test_streams(const Round& round);
  void test_datagrams(const Round& round);
  void test_alone(const Round& round);
  void offer(BytesPerSecond slice);
  Mode mode_ = Mode::kOff;
  Duration busy_for_{};
  std::optional<Time> gave_way_;  // last
  // A test is not free: both ways at once take from each other, and each takes the other for a
  // full link. What is over sooner than this is not worth one.
  Duration pause_ = std::chrono::seconds(30);
  BytesPerSecond alone_;          // what the way in use carried, lately, at most
  BytesPerSecond mean_;           // and in the mean
  std::uint64_t test_bytes_ = 0;  // on the other, in the second half of the test, or of its step
  std::uint64_t both_bytes_ = 0;  // on either
  Duration test_span_{};          // of that half
  Duration step_for_{};           // since this slice was offered
  BytesPerSecond slice_, slice_before_, slice_now_;
};

}  // namespace longhaul::session
