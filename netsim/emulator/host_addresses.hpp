// HostAddresses: the addresses of one host's device, one of each kind, and its routes to the other
// hosts. A host may lose them while packets move and have others later, as a laptop does that is
// carried from one network to another. Owned by one thread, which need not be in the host's
// namespace. Each call takes some milliseconds.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "netsim/emulator/addresses.hpp"
#include "netsim/emulator/netlink.hpp"

namespace netsim::emulator {

class HostAddresses {
 public:
  // The calling thread is in the namespace of host `host`; `congestion` as in Netlink::add_route.
  // What could not be done and does not matter is added to `notes`.
  static Result<HostAddresses> give(std::size_t host, std::string device, std::string congestion,
                                    std::vector<std::string>& notes);

  // No address and no route is left; nothing happens if none was.
  Result<> leave();
  // Leaves, and arrives at the next of the host's other addresses (addresses.hpp), with routes.
  Result<AddressId> move();
  bool has_v6() const { return has_v6_; }

 private:
  HostAddresses(std::size_t host, std::string device, std::string congestion, Netlink netlink)
      : host_(host),
        device_(std::move(device)),
        congestion_(std::move(congestion)),
        netlink_(std::move(netlink)) {}
  Result<> add(const Address& own);
  Result<> route(const Address& own);
  Result<> remove(const Address& own);

  std::size_t host_;
  std::string device_, congestion_;
  Netlink netlink_;
  bool has_v6_ = true;
  std::optional<AddressId> at_;
  std::uint32_t moves_ = 0;
};

}  // namespace netsim::emulator
