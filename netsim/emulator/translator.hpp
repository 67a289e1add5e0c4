// Translator: the NAT in front of the host at a link's side a, over packets. Until the first
// rebinding it changes nothing; from then on TCP and UDP are netsim/nat.hpp's, apart from each
// other and for IPv4 and IPv6, and what has no ports (ICMP, fragments) has its address changed
// alone. The packets that ICMP errors quote are not translated. Pure.
#pragma once

#include <array>
#include <optional>

#include "netsim/emulator/addresses.hpp"
#include "netsim/nat.hpp"

namespace netsim::emulator {

class Translator {
 public:
  explicit Translator(AddressId host) : host_(host), shown_(host) {}

  void rebind(std::optional<AddressId> new_address);
  bool is_active() const { return active_; }

  // Of the host's own packet: the source becomes what the far side is to see.
  void outward(MutableBytes header, const Layout& layout, Checksum checksum);
  // Of a packet for the host: the destination becomes its own again. kLost: no such mapping.
  enum class Fate : bool { kLost, kPassed };
  Fate inward(MutableBytes header, const Layout& layout, Checksum checksum) const;
  // Undoes outward(), for an answer that quotes the packet to its sender.
  void undo(MutableBytes header, const Layout& layout) const;

 private:
  // What stands for `outside` on the inside; `as`: of such packets.
  std::optional<Endpoint> inside_of(Endpoint outside, const Layout& as) const;
  static std::size_t table_of(const Layout& layout);

  AddressId host_, shown_;
  bool active_ = false;
  std::array<Nat, 4> tables_;  // TCP and UDP over IPv4 and IPv6
};

}  // namespace netsim::emulator
