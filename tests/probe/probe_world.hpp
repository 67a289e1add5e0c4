// ProbeWorld: a Prober and a ProbeSite with netsim's link between their datagrams, in virtual time.
// Messages of the session take a fixed time and arrive in order. And what the same link looks like
// to somebody who has all the time there is.
#pragma once

#include <deque>
#include <functional>

#include "lib/probe/prober.hpp"
#include "lib/probe/site.hpp"
#include "netsim/profile.hpp"
#include "netsim/wan.hpp"

namespace longhaul::test {

struct ProbeWorldOptions {
  probe::ProberOptions prober;
  bool observer = false;
  bool udp_blocked = false;
  std::optional<Duration> nat_idle;                // a NAT before the laptop forgets after so long
  Duration clocks_apart{};                         // the site's clock ahead of ours
  std::function<bool(const Slice&)> lose_message;  // true: it never arrives
  std::function<bool(const netsim::Endpoint& to)> lose_datagram;
};

class ProbeWorld {
 public:
  ProbeWorld(std::uint64_t seed, const netsim::LinkConfig& link, ProbeWorldOptions options = {});
  ~ProbeWorld();
  // To the end of the probe; false: it did not end within five virtual minutes.
  bool run();
  void start();
  bool run_on();  // the same, once it was started
  probe::Prober& prober() { return *prober_; }
  probe::ProbeSite& site() { return *site_; }
  probe::Gate& gate() { return gate_; }
  netsim::Wan& wan() { return wan_; }
  probe::Figures figures();
  std::uint64_t sent_bytes_up = 0, sent_bytes_down = 0;  // UDP payload put on the link

 private:
  struct End;
  BufferPool pool_;  // before the network, which holds what is on its way
  netsim::Wan wan_;
  netsim::HostId laptop_, cluster_;
  probe::Gate gate_;
  ProbeWorldOptions options_;
  std::unique_ptr<probe::Prober> prober_;
  std::unique_ptr<probe::ProbeSite> site_;
  std::unique_ptr<End> near_, far_;
  std::vector<std::unique_ptr<End>> quiet_;
};

// Round trips of small packets on an otherwise idle link, milliseconds.
struct IdleRtt {
  double least_ms = 0, p50_ms = 0;
};
IdleRtt idle_rtt(std::uint64_t seed, const netsim::LinkConfig& link, std::uint32_t ip_bytes);

}  // namespace longhaul::test
