#include "netsim/emulator/host_addresses.hpp"

#include <cerrno>

namespace netsim::emulator {
namespace {

using longhaul::Error;
using longhaul::fail;
using longhaul::Kind;

Address network_of(const Address& own) {
  return Address::parse(own.v6 ? kNetwork6 : kNetwork4);
}
unsigned network_bits(const Address& own) {
  return own.v6 ? kNetworkBits6 : kNetworkBits4;
}
unsigned own_bits(const Address& own) {
  return own.v6 ? 128 : 32;
}
Address v4_of(AddressId id) {
  return Address::parse(address4(id).c_str());
}
Address v6_of(AddressId id) {
  return Address::parse(address6(id).c_str());
}

// Its user may have removed it already, or the kernel: with a device's last IPv4 address go all its
// IPv4 routes.
Result<> gone(Result<> removed) {
  const int os = removed ? 0 : removed.error().os();
  if (os == EADDRNOTAVAIL || os == ESRCH) return {};
  return removed;
}

}  // namespace

Result<HostAddresses> HostAddresses::give(std::size_t host, std::string device,
                                          std::string congestion, std::vector<std::string>& notes) {
  HostAddresses out(host, std::move(device), std::move(congestion), TRY(Netlink::open()));
  const auto id = static_cast<AddressId>(host);
  out.at_ = id;
  TRY(out.add(v4_of(id)));
  TRY(out.route(v4_of(id)));
  const auto added = out.add(v6_of(id));
  out.has_v6_ = added.has_value();
  if (added)
    TRY(out.route(v6_of(id)));
  else
    notes.push_back("no IPv6 here: " + added.error().message());
  return out;
}

Result<> HostAddresses::leave() {
  if (!at_) return {};
  TRY(remove(v4_of(*at_)));
  if (has_v6_) TRY(remove(v6_of(*at_)));
  at_.reset();
  return {};
}

Result<AddressId> HostAddresses::move() {
  TRY(leave());
  const AddressId next = moved(host_, moves_ % kMovesMax + 1);
  ++moves_;
  at_ = next;
  TRY(add(v4_of(next)));
  TRY(route(v4_of(next)));
  if (has_v6_) {
    TRY(add(v6_of(next)));
    TRY(route(v6_of(next)));
  }
  return next;
}

Result<> HostAddresses::add(const Address& own) {
  return netlink_.add_address(device_, own, own_bits(own));
}

Result<> HostAddresses::route(const Address& own) {
  const auto routed = netlink_.add_route(device_, network_of(own), network_bits(own), congestion_);
  if (!routed && !congestion_.empty())
    return fail(Error(Kind::kUsage, "lock congestion control " + congestion_,
                      "this kernel does not offer it")
                    .advise("see sysctl net.ipv4.tcp_available_congestion_control"));
  return routed;
}

Result<> HostAddresses::remove(const Address& own) {
  TRY(gone(netlink_.remove_address(device_, own, own_bits(own))));
  return gone(netlink_.remove_route(device_, network_of(own), network_bits(own)));
}

}  // namespace netsim::emulator
