// Admission: what strangers may cost. Every accepted connection is in this table from its accept
// until its peer is known, under one deadline, a budget of bytes, a share of a total, and a limit
// per source; nothing a stranger does moves its deadline. Pure: `now` is an argument, connections
// are named by the owner.
//
// A full table evicts the connection that has been longest without finishing its stage, so that
// slow ones make room for the honest; sources that have authenticated lately are exempt from the
// limit per source.
//
// All strangers together get a share of one core. What one sent waits until it is its turn, and
// the owner says what the turn cost:
//
//   admission.on_waiting(now, id);
//   while (auto id = admission.poll_turn(now)) admission.on_work(now, *id, work(*id));
//   .. and again at next_turn()
#pragma once

#include <algorithm>
#include <cstdint>
#include <list>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "lib/base/ids.hpp"
#include "lib/base/units.hpp"

namespace longhaul::auth {

using ConnectionId = Id<struct ConnectionTag>;

struct AdmissionLimits {
  Duration deadline = 10s;  // from accept to known
  std::size_t connection_bytes_max = 64U << 10;
  std::size_t connections_max = 1024;  // with the above: 64 MiB before anyone is known
  std::size_t per_source_max = 16;
  std::size_t sources_known_max = 1024;
  Duration known_for = 1h;                 // how long a source stays exempt after authenticating
  int cpu_one_in = 4;                      // work for strangers gets a quarter of a core
  Duration cpu_burst = 250ms;              // and what a second without any left over
  std::size_t sources_charged_max = 4096;  // without a connection, whose use is remembered
};

class Admission {
 public:
  explicit Admission(AdmissionLimits limits = {}) : limits_(limits) {}
  Admission(Admission&&) = default;  // no copies: strangers point at their sources

  // A connection was accepted. Returns those to close at once: an evicted one, or this one itself
  // when its source has too many. `address`: without the port; of an IPv6 address the
  // first 64 bits count, because whoever has one has all behind them.
  std::vector<ConnectionId> on_accept(Time now, ConnectionId id, const std::string& address);
  enum class Verdict : std::uint8_t { kGoOn, kClose };
  Verdict on_bytes(ConnectionId id, std::size_t bytes);  // received before it is known
  void on_stage(Time now, ConnectionId id);              // it finished a stage (TLS, hello)
  void on_known(Time now, ConnectionId id);              // authenticated: leaves the table
  void on_waiting(Time now, ConnectionId id);            // what it sent waits for its turn
  // Whose turn it is, if there is processor time left: the one whose source has used the least on
  // others than itself, so that a newcomer passes a flood from a few sources; of equals one whose
  // work has begun, then the one that waits longest. Sources that are exempt wait for nothing.
  std::optional<ConnectionId> poll_turn(Time now);
  // When poll_turn() will give one; a time that has passed: at once.
  std::optional<Time> next_turn() const;
  void on_work(Time now, ConnectionId id, Duration cpu);  // processor time that it cost
  void on_closed(ConnectionId id);
  // The machine has no descriptor left for another: the one to close, as when the table is full.
  std::optional<ConnectionId> evict();
  // Those whose deadline has passed; they are out of the table.
  std::vector<ConnectionId> on_deadline(Time now);
  std::optional<Time> next_deadline() const;
  std::size_t size() const { return by_id_.size(); }
  std::size_t bytes() const { return bytes_; }
  void check() const;

 private:
  struct Source {
    std::size_t connections = 0;
    Duration cpu{};  // used of late, by those that are gone as well
    Time exempt_until{};
  };
  using Sources = std::map<std::string, Source>;
  struct Stranger {
    Sources::iterator source;
    Time deadline, stage_since;
    std::size_t bytes = 0;
    Duration cpu{};
    std::optional<std::uint64_t> place;  // in the line of those that wait
    Duration others_cpu() const { return std::max(source->second.cpu - cpu, Duration(0)); }
  };
  void drop(std::map<ConnectionId, Stranger>::iterator at);
  void leave_line(ConnectionId id, Stranger& stranger);
  void refill(Time now);
  void forget_by_half();
  AdmissionLimits limits_;
  std::map<ConnectionId, Stranger> by_id_;
  Sources sources_;
  std::map<std::string, Time> known_;  // source -> exempt until
  std::size_t bytes_ = 0;
  std::size_t waiting_ = 0;                // how many have a place in the line
  std::set<ConnectionId> may_work_;        // need none: their source is exempt
  Duration cpu_left_ = limits_.cpu_burst;  // below zero: what the last turn took too much
  Time refilled_{}, halved_{};
  std::uint64_t next_place_ = 0;
};

// What a limit per source is counted by: an IPv4 address, or the first half of an IPv6 address.
std::string source_of(const std::string& address);

}  // namespace longhaul::auth
