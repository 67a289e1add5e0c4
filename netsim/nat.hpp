// Nat: what stands in front of a link's side a. Until the first rebinding it changes nothing. Each
// rebinding forgets all mappings: packets from a's side get a new source port (and, if asked, a new
// address), and packets to what was valid before are lost, until a's side has sent something again.
// It may also forget by itself what nothing left by for a while.
#pragma once

#include <map>
#include <optional>

#include "netsim/config.hpp"
#include "netsim/endpoint.hpp"

namespace netsim {

class Nat {
 public:
  void rebind(std::optional<Address> new_address);
  // From now on it maps all that leaves, and a mapping by which nothing left for so long is gone.
  void forget_idle(Duration span);
  void advance(Time now);             // before each packet, where forget_idle() was asked for
  Endpoint outward(Endpoint inside);  // makes a mapping if there is none
  std::optional<Endpoint> inward(Endpoint outside) const;  // nothing: no such mapping

 private:
  bool active_ = false;
  std::optional<Address> address_;
  std::uint16_t next_port_ = 49152;
  struct Outside {
    Endpoint at;
    Time used{};
  };
  std::optional<Duration> idle_;
  Time now_{};
  std::map<Endpoint, Outside> outside_of_;
  std::map<Endpoint, Endpoint> inside_of_;
};

}  // namespace netsim
