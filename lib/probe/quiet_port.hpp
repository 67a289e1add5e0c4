// QuietPort: one port of a probe that says nothing for a while, to see whether what stands on the
// way still knows it afterwards: asks the site for an answer that comes so much later. Each silence
// that is tried has a port of its own, so that all are tried at once. Session's strand.
//
//   QuietPort port(sealing, 60s, index);         // Packets, of a socket of its own
//   port.begin(now, address_of_the_site);        // may be asked and told from here on
//   while (!port.over(now)) ..  port.outcome()
#pragma once

#include <array>
#include <optional>

#include "lib/probe/site.hpp"

namespace longhaul::probe {

class QuietPort final : public Packets {
 public:
  enum class Outcome : std::uint8_t {
    kPending,
    kUnanswered,  // not even what asked for an answer at once: an older site, or no way
    kForgotten,   // no answer came after the silence
    kRemembered,
  };
  // NATs remember longer what was answered, and some (Linux) only after two seconds of it.
  static constexpr Duration kGreeting = std::chrono::milliseconds(2500);
  static constexpr Duration kGreetPause = std::chrono::milliseconds(500);
  // Of the last question: three in a row are lost to chance less than once in 1,000 at 10 %.
  static constexpr std::uint32_t kCopies = 3;
  static constexpr Duration kCopyPause = std::chrono::milliseconds(50);
  static constexpr Duration kPatience = std::chrono::seconds(2);  // beyond silence and round trip
  static constexpr std::uint32_t kPacketsMax = 5 + kCopies;

  QuietPort(Sealing& sealing, Duration silence, std::uint32_t index)
      : sealing_(sealing), silence_(silence), first_number_(index * kPacketsMax) {}

  void begin(Time now, const datagram::Address& site);
  bool asked() const { return asks_ == kCopies || outcome_ != Outcome::kPending; }
  bool over(Time now);   // nothing is waited for any more
  Time over_at() const;  // look again then; after begin()
  Outcome outcome() const { return outcome_; }
  std::uint32_t questions() const { return greetings_ + asks_; }
  Duration silence() const { return silence_; }
  Duration rtt() const { return rtt_; }  // zero: none was measured

  std::optional<datagram::ConnectionId> receive_id() const override;
  void on_datagrams(Time now, const datagram::Address& from, const Slice& in,
                    std::size_t each_bytes, Duration ago) override;
  std::optional<Batch> poll_batch(Time now) override;
  std::optional<Time> next_send(Time now) const override;

 private:
  Sealing& sealing_;
  const Duration silence_;
  const std::uint32_t first_number_;
  datagram::Address site_{};
  std::optional<Time> began_;
  Time next_{}, asked_at_{};
  std::uint32_t greetings_ = 0, asks_ = 0;
  std::array<Time, kPacketsMax> greeted_at_{};
  Duration rtt_{};
  bool answered_ = false;
  Outcome outcome_ = Outcome::kPending;
};

// For how long the way knows a port that says nothing; nothing: no silence that was tried ended so.
struct NatFigures {
  bool answered = false;            // without it the rest says nothing
  std::optional<Duration> alive;    // the longest silence after which it still did
  std::optional<Duration> expired;  // the shortest longer one after which it did not
  Duration tried{};                 // the longest that was tried
};

}  // namespace longhaul::probe
