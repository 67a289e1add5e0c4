// ProductWorld: a laptop and a site as they are, but for sockets and disks: the session over
// simulated TCP, real TLS, an exchange at each end, a store on disks in memory. A push goes across
// while faults happen to the link, the clocks and the connections; with datagrams a run is watched
// and steered in the same session. Invariants of every core are checked after each step.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tests/sim/feed_beside.hpp"
#include "tests/sim/session_world.hpp"
#include "tests/transfer/world.hpp"

namespace longhaul::test {

// Faults of the checklist that a stream path can meet.
enum class Fault : std::uint8_t {
  kL1Profile,   // one of the built-in links
  kL2Loss,      // 0.1 to 5 %, one by one or in bursts
  kL3Reorder,   // 5 % of packets late, 2 % twice
  kL4BitFlips,  // behind the checksum: only the seals can tell
  kL5Blackout,  // up to a minute
  kL6HalfOpen,  // one direction dead
  kL11Cut,      // RST or FIN at a byte of the first connection; later ones are reset
  kL12Slices,   // one byte at a time
  kL16Clock,    // a leap of minutes or a day, a drift of 500 ppm
  kL17Stale,    // packets twice and seconds late; an old connection's first bytes again, and old
                // datagrams, also from other addresses and with a bit flipped
  // Those below are not drawn for random worlds, whose seeds keep their meaning.
  kL7Pmtu,        // packets over 1400 bytes vanish for a while
  kL8Route,       // 34 ms more, and back
  kL8FarRoute,    // from 20 to 300 ms, and back
  kL9Rate,        // from 1 Gbit/s to 1 Mbit/s and back
  kL10Lopsided,   // a hundredth of the rate on the way back, and queues of a second
  kL13Rebinding,  // the NAT forgets all it knew
  kL7Small,       // the way never carries full packets, and may not say so
  kL15Untuned,    // TCP sockets of 64 KiB
  kUdpBlocked,    // from the start
  kUdpDies,       // and comes back, some times
  kLongOutage,    // ten minutes
  kLid,           // the laptop sleeps for an hour
};
inline constexpr std::size_t kRandomFaults = 10, kFaults = 22;
std::string_view name_of(Fault fault);

using FaultSet = std::vector<Fault>;
FaultSet random_faults(Rng& rng);
FaultSet random_faults_of_all(Rng& rng);

class ProductWorld {
 public:
  // datagrams: the fast path is there as well.
  ProductWorld(std::uint64_t seed, const FaultSet& faults, bool datagrams = false);
  ~ProductWorld();

  // Pushes a random tree while the faults happen; a message of what is wrong, or empty. Ends
  // within kLimit of virtual time.
  std::string run();
  // The same, but all faults are over after 8 s, those of ten minutes and an hour soon after they
  // end: the link loses, delays and changes nothing any more, keeps its addresses and lets UDP
  // through. What is not done kHealed later, and twice the time that the link needs for the push,
  // hangs.
  std::string run_healed();
  static constexpr Duration kHealed = 15s;           // 7 s of them were needed
  bool was_under_way() const { return under_way_; }  // the push, when all was well again

  // Without any fault but this: after so many events of the world one side's process is killed
  // (-9) and begun anew, and the user pushes again until it is done.
  enum class Side : std::uint8_t { kLaptop, kSite };
  std::string run_killed(Side side, std::uint64_t after_events);
  std::uint64_t events() const { return events_; }  // that the last run took
  std::size_t link_downs() const;                   // times that no connection was left

  static constexpr Duration kLimit = std::chrono::hours(3);
  std::uint64_t seed() const { return seed_; }
  // Over every packet and every output of both sessions.
  std::uint64_t trace_hash() const;
  std::string told() const;  // link and faults, in words

 private:
  static constexpr std::uint64_t kFastBits = 1'000'000'000, kSlowBits = 1'000'000;
  class Stranger;  // says again what an old connection said
  void add_stranger();
  WorldOptions make_options();
  netsim::LinkConfig make_way();
  void shape(netsim::LinkConfig& link);
  void schedule_faults();
  Duration healed_after() const;
  Duration time_for_push() const;
  void heal();
  void put_tree();
  // Of a fault; until all is healed at most.
  Duration lasting(Duration span) const;
  void happen(Fault fault);
  void happen_to_hosts(Fault fault);
  void replay_datagrams();
  void after(Duration span, std::function<void()> act);
  Duration some(Duration most) {
    return Duration(
        static_cast<std::int64_t>(rng_.below(static_cast<std::uint64_t>(most.count()))));
  }
  session::Service& laptop_service();
  session::Service& site_service();
  void push();
  std::optional<transfer::Finished> await_end(Duration limit = kLimit);
  std::string one_push(Duration limit, bool* again);
  void kill(Side side);
  void open_site();
  std::string judge(const transfer::Finished& end);
  std::string judge_feed(Duration limit = kLimit);
  bool has(Fault fault) const;

  const std::uint64_t seed_;
  const FaultSet faults_;
  Rng rng_;
  std::string link_words_;
  std::uint64_t events_ = 0, tree_bytes_ = 0;
  std::optional<Time> healed_at_;
  bool under_way_ = false, done_ = false;
  std::shared_ptr<sim::CrashFiles> laptop_disk_, site_disk_;
  std::unique_ptr<store::Root> root_;
  std::unique_ptr<store::MemoryIndex> index_;
  std::unique_ptr<transfer::SiteHost> host_;
  std::deque<std::unique_ptr<transfer::Exchange>> laptop_exchanges_, site_exchanges_;
  std::vector<Slice> first_read_;  // what the site's first connection read
  std::size_t first_read_bytes_ = 0;
  std::unique_ptr<SessionWorld> net_;
  std::unique_ptr<FeedBeside> feed_;  // with datagrams
  std::vector<std::unique_ptr<Stranger>> strangers_;
  std::vector<netsim::Datagram> first_datagrams_;  // that came to the site
};

}  // namespace longhaul::test
