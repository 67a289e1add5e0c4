// Relay: the core with its sockets, clock and loop. One thread; run() blocks until `stop` becomes
// readable or a control request says so.
//
//   auto relay = TRY(Relay::open({.listen = "127.0.0.1:5000", .to = "127.0.0.1:6000", .config =
//   config})); TRY(relay->run(stop_fd)); print(relay->summary());
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "netsim/lateness.hpp"
#include "netsim/relay/core.hpp"
#include "netsim/relay/relay_control.hpp"
#include "netsim/relay/tcp_face.hpp"
#include "netsim/relay/udp_face.hpp"

namespace netsim::relay {

struct RelayOptions {
  std::string listen, to;  // as parse_address() reads
  RelayConfig config;
  std::uint64_t seed = 1;
  bool tcp = true, udp = true;
  std::optional<std::string> control;
};

// What every user must know; printed at the start and in --help.
inline constexpr std::string_view kWhatThisIs =
    "a relay ends TCP: it models the TCP that would cross the link, so loss shows as stalls (one "
    "round trip, or a "
    "retransmission timeout), and the kernels' own congestion control is not tested; for that use "
    "netsim run";

class Relay {
 public:
  static Result<std::unique_ptr<Relay>> open(const RelayOptions& options);
  Relay(const Relay&) = delete;
  Relay& operator=(const Relay&) = delete;

  Result<> run(const Fd& stop);
  // Requests beyond settings.hpp: do reset | half-close up|down | down | up | stop; get config |
  // counters (or link | stats, as of a named link).
  Result<std::string> perform(const ControlRequest& request);
  std::string summary() const;                         // JSON, one line
  std::optional<std::string> invalid_because() const;  // netsim/lateness.hpp
  Address listening_on() const { return address_; }    // with the port the system chose

 private:
  Relay(const RelayOptions& options, Poller poller, Address target);
  Result<> listen();
  Result<std::string> perform_do(std::string_view words);
  void handle(const Poller::Event& event);
  void drain();
  Time now() const;
  bool timed(const Output& output) const;

  RelayOptions options_;
  Poller poller_;
  Address address_;
  longhaul::Rng rng_;
  std::int64_t started_ns_;
  Core core_;
  TcpFace tcp_;
  UdpFace udp_;
  RelayControl control_;
  Lateness lateness_;
  Duration rtt_least_;  // smallest there was: what lateness is measured against
  Time next_expiry_{};
  bool stop_ = false;
};

}  // namespace netsim::relay
