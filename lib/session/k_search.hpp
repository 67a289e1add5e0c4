// KSearch: how many bulk connections serve this link, found while it runs. Doubles the number while
// the sum of their rates rises by over a tenth, goes back when it does not, stops when the link
// itself is full. With BBR or without loss it stays where it began. Where every connection yields
// to random loss, each has a rate of its own, whatever the others do: more are opened without
// waiting for a proof. Where a link has no two packets a round trip for each of them they are fewer
// again: all they do is to fill its queue and to wait for what was lost there. A pure rule over
// epochs of a few round trips. Not thread-safe.
#pragma once

#include <cstdint>
#include <optional>

#include "lib/base/units.hpp"
#include "lib/session/output.hpp"

namespace longhaul::session {

constexpr std::uint32_t kStartPaths = 2;
// Where much is expected. A connection between hosts with stock buffers (4 and 6 MiB) carries at
// most 16 MB/s at 180 ms, and each doubles from 10 packets: 256 MiB at 500 Mbit/s took 9.6 s with
// two, 6.7 s with eight and 6.4 s with fourteen, which with two for control are as many as a peer
// shakes hands with at a time.
constexpr std::uint32_t kStartPathsBulk = 14;

struct Epoch {
  BytesPerSecond sum;            // delivered, over this epoch
  std::uint32_t open = 0;        // bulk connections that carry data
  bool limited_by_link = false;  // there was always something to send, and room at the peer
  bool loss_limited = false;     // packets were lost, and the congestion control yields to that
  bool link_full = false;        // a queue or overload was seen: RateModel::link_full()
  Duration rtt_min{};            // zero: not known, and then no link is thin
};

class KSearch {
 public:
  // start: K where nothing is known. remembered: K of the last session over this link, or 0; it
  // only adds, for that session may have had little to send (a listing before a push).
  KSearch(std::uint32_t most, std::uint32_t start, std::uint32_t remembered);
  std::uint32_t wanted() const { return wanted_; }
  std::optional<KChanged> on_epoch(const Epoch& epoch);
  // The peer takes no more than `open`.
  std::optional<KChanged> on_refused(std::uint32_t open);
  KChanged first() const;
  void check() const;  // invariants

 private:
  KChanged change(std::uint32_t to, KReason reason, BytesPerSecond sum);
  std::optional<KChanged> rest(const Epoch& epoch, KReason reason);
  std::optional<KChanged> grow(const Epoch& epoch, KReason reason);
  std::optional<KChanged> judge_step(const Epoch& epoch);
  std::optional<KChanged> on_thin(const Epoch& epoch);

  std::uint32_t most_;
  const std::uint32_t start_;
  std::uint32_t wanted_;
  std::uint32_t before_ = 0;  // K before the step being judged; 0: none is
  BytesPerSecond sum_before_, last_, best_;
  std::uint32_t epochs_in_step_ = 0;
  std::uint32_t low_epochs_ = 0;
  std::uint32_t lossy_epochs_ = 0;
  std::uint32_t thin_epochs_ = 0;
  bool resting_ = false;
};

}  // namespace longhaul::session
