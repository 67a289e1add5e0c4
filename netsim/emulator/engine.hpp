// Engine: carries packets between two ports through a Link. Each MTU-size segment of a train is one
// packet of the link; segments that leave together and belong together are written as one train.
// It counts, and measures how late each packet left. One thread; the caller polls and sleeps:
//
//   engine.receive(Direction::kUp);           // port a is readable
//   engine.deliver();
//   sleep until engine.next_deadline()
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>

#include "netsim/emulator/clock.hpp"
#include "netsim/emulator/lateness.hpp"
#include "netsim/emulator/port.hpp"
#include "netsim/emulator/train_table.hpp"
#include "netsim/link.hpp"

namespace netsim::emulator {

// What happened to one segment, for a capture file.
enum class Sighting : std::uint8_t { kEntered, kLeft, kDropped };
struct SegmentView {
  Time at;
  Direction direction;
  Sighting sighting;
  const Train& train;
  std::uint32_t segment;
  bool ce;
  std::string_view why;  // of a drop
};
using Watcher = std::function<void(const SegmentView&)>;

struct EngineCounters {  // per direction
  std::uint64_t trains_in = 0, trains_out = 0;
  std::uint64_t segments_out = 0, bytes_out = 0;
  std::uint64_t not_ip = 0;       // neither IPv4 nor IPv6, or cut off
  std::uint64_t link_local = 0;   // multicast that no router forwards
  std::uint64_t not_written = 0;  // the receiving device had no room
  std::uint64_t too_big_replies = 0;
};

class Engine {
 public:
  // ports: a's and b's; they outlive the engine.
  Engine(const LinkConfig& config, std::uint64_t seed, std::array<Port*, 2> ports, Time start);

  // Reads what waits at the sender's port, up to a batch. Says whether more may wait.
  enum class More : bool { kNo, kYes };
  Result<More> receive(Direction direction);
  More deliver(Time until);  // what is due at `until`, up to a batch
  std::optional<Time> next_deadline() const { return link_.next_deadline(); }

  void watch(Watcher watcher) { watcher_ = std::move(watcher); }
  Link& link() { return link_; }
  const Link& link() const { return link_; }
  const Lateness& lateness(Direction d) const { return lateness_[index(d)]; }
  const EngineCounters& counters(Direction d) const { return counters_[index(d)]; }
  // Longest stretch in which a port never ran empty: over some ms, the emulator and not the link
  // was the bottleneck.
  Duration longest_backlog(Direction d) const { return longest_backlog_[index(d)]; }
  std::size_t trains_inside() const { return trains_.size(); }
  Duration smallest_rtt() const { return smallest_rtt_; }
  void note_rtt();  // call after each change of the link

 private:
  struct Run {  // segments to be written together
    std::uint32_t slot = 0, first = 0, count = 0;
    bool ce = false;
  };
  static std::size_t index(Direction d) { return static_cast<std::size_t>(d); }
  Port& source(Direction d) { return *ports_[index(d)]; }
  Port& target(Direction d) { return *ports_[1 - index(d)]; }
  void admit(Time at, Direction direction, Train train);
  void settle_drops();
  void answer_too_big(Direction direction, const Train& train);
  void take(Direction direction, const Delivery& delivery, Run& run);
  void flush(Direction direction, Run& run);
  void write_corrupt(Direction direction, const Train& train, std::uint32_t segment, bool ce);
  void count_out(Direction direction, Port::Written written, std::uint32_t segments,
                 std::uint64_t bytes);
  void release(std::uint32_t slot, std::uint32_t segments);
  void see(const SegmentView& view) {
    if (watcher_) watcher_(view);
  }

  Link link_;
  std::array<Port*, 2> ports_;
  TrainTable trains_;
  Buffer spare_;
  longhaul::Rng corrupt_rng_;
  Watcher watcher_;
  std::array<Lateness, 2> lateness_;
  std::array<EngineCounters, 2> counters_;
  std::array<std::optional<Time>, 2> backlog_since_;
  std::array<Duration, 2> longest_backlog_{};
  Duration smallest_rtt_;
};

}  // namespace netsim::emulator
