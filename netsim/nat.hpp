// Nat: what stands in front of a link's side a. Until the first rebinding it changes nothing. Each
// rebinding forgets all mappings: packets from a's side get a new source port (and, if asked, a new
// address), and packets to what was valid before are lost, until a's side has sent something again.
#pragma once

#include <map>
#include <optional>

#include "netsim/endpoint.hpp"

namespace netsim {

class Nat {
 public:
  void rebind(std::optional<Address> new_address);
  Endpoint outward(Endpoint inside);                       // makes a mapping if there is none
  std::optional<Endpoint> inward(Endpoint outside) const;  // nothing: no such mapping

 private:
  bool active_ = false;
  std::optional<Address> address_;
  std::uint16_t next_port_ = 49152;
  std::map<Endpoint, Endpoint> outside_of_, inside_of_;
};

}  // namespace netsim
