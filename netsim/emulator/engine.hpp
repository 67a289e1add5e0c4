// Engine: carries packets between the ports of two or more hosts, through the links of a topology.
// Each MTU-size segment of a train is one packet of every link it crosses; segments that leave
// together and belong together are written as one train. Between hosts that no link joins, packets
// go over the hosts between: there they enter the next link at the very time they left the last
// one, and do not meet that host's kernel. It counts, and measures how late each packet left. One
// thread; the caller polls and sleeps:
//
//   engine.receive(host);           // its port is readable
//   engine.deliver(now());
//   sleep until engine.next_deadline()
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>
#include <vector>

#include "netsim/emulator/clock.hpp"
#include "netsim/emulator/port.hpp"
#include "netsim/emulator/train_table.hpp"
#include "netsim/emulator/translator.hpp"
#include "netsim/lateness.hpp"
#include "netsim/link.hpp"
#include "netsim/topology.hpp"

namespace netsim::emulator {

// What happened to one segment, for a capture file.
enum class Sighting : std::uint8_t { kEntered, kLeft, kDropped };
struct SegmentView {
  Time at;
  std::size_t host;  // that sent it, or was given it; of a dropped one: that sent it
  Sighting sighting;
  const Train& train;
  std::uint32_t segment;
  bool ce;
  std::string_view why;  // of a drop
};
using Watcher = std::function<void(const SegmentView&)>;

struct HostCounters {
  std::uint64_t trains_in = 0, trains_out = 0;    // in: the host sent it
  std::uint64_t segments_out = 0, bytes_out = 0;  // out: the host was given it
  std::uint64_t not_ip = 0;                       // neither IPv4 nor IPv6, or cut off
  std::uint64_t link_local = 0;                   // multicast that no router forwards
  std::uint64_t unroutable = 0;                   // sent to an address that is nobody's
  std::uint64_t unmapped = 0;                     // to the host, but its NAT had forgotten for whom
  std::uint64_t not_written = 0;                  // its device had no room
  std::uint64_t too_big_replies = 0;
  // Longest stretch in which its port never ran empty: over some ms, the emulator and not the link
  // was the bottleneck.
  Duration longest_backlog{};
};

class Engine {
 public:
  // ports: one a host, in the topology's order; they outlive the engine.
  Engine(const Topology& topology, std::uint64_t seed, std::vector<Port*> ports, Time start);

  // Reads what waits at a host's port, up to a batch. Says whether more may wait.
  enum class More : bool { kNo, kYes };
  Result<More> receive(std::size_t host);
  More deliver(Time until);  // what is due at `until`, up to a batch
  std::optional<Time> next_deadline() const;

  void watch(Watcher watcher) { watcher_ = std::move(watcher); }
  const Topology& topology() const { return topology_; }
  Link& link(std::size_t i) { return lines_[i].link; }
  const Link& link(std::size_t i) const { return lines_[i].link; }
  const Lateness& lateness() const { return lateness_; }
  const HostCounters& counters(std::size_t host) const { return counters_[host]; }
  std::size_t trains_inside() const { return trains_.size(); }
  Duration smallest_rtt() const { return smallest_rtt_; }  // of any link
  void note_rtt();                                         // call after each change of a link

 private:
  struct Run {  // segments to be written together
    std::uint32_t slot = 0, first = 0, count = 0;
    bool ce = false;
  };
  struct Line {  // a link, the hosts at its ends, and the NAT in front of a
    Link link;
    std::size_t a, b;
    Translator nat;
  };
  void admit(Time at, std::size_t from, Train train);
  std::optional<std::size_t> receiver_of(const Train& train, std::size_t from) const;
  void push(Time at, std::size_t line, std::size_t here, std::uint64_t cookie);
  void settle(Line& line);
  void answer_too_big(std::size_t host, const Line& line, Direction direction, const Train& train);
  std::size_t deliver_line(std::size_t line, Time until, std::size_t most);
  void take(const Line& line, Direction direction, const Delivery& delivery, std::uint64_t cookie);
  void hop(std::size_t here, const Delivery& delivery, std::uint64_t cookie);
  void hand_over(const Delivery& delivery, std::uint64_t cookie, const Translator* nat);
  void flush();
  void write_segments(std::uint32_t slot, std::uint32_t first, std::uint32_t count, bool ce,
                      const Translator* nat);
  void write_altered(std::uint32_t slot, std::uint32_t segment, std::uint64_t marks,
                     const Translator* nat);
  void count_out(std::size_t host, Port::Written written, std::uint32_t segments,
                 std::uint64_t bytes);
  void see(const SegmentView& view) {
    if (watcher_) watcher_(view);
  }

  Topology topology_;
  NextHops hops_;
  std::vector<Port*> ports_;
  std::vector<Line> lines_;
  std::vector<std::size_t> alias_owner_;  // host of kFirstAlias + i
  TrainTable trains_;
  // Of the train being admitted: its slot, and which of its segments found no room.
  std::optional<std::uint32_t> admitting_;
  std::vector<bool> refused_;
  Buffer spare_;
  Run run_;
  longhaul::ByteVector scratch_;
  longhaul::Rng corrupt_rng_;
  Watcher watcher_;
  Lateness lateness_;
  std::vector<HostCounters> counters_;
  std::vector<std::optional<Time>> backlog_since_;
  Duration smallest_rtt_;
};

}  // namespace netsim::emulator
