#include "netsim/emulator/translator.hpp"

namespace netsim::emulator {
namespace {

// The port is 0 where there is none.
std::optional<Endpoint> endpoint_in(Bytes header, const Layout& layout, End end) {
  const auto address = address_in(header, layout.v6, end);
  if (!address) return std::nullopt;
  return Endpoint{*address,
                  layout.transport == 0 ? std::uint16_t{0} : port_in(header, layout, end)};
}

}  // namespace

std::size_t Translator::table_of(const Layout& layout) {
  return (layout.transport == kTcp ? 0U : 2U) + (layout.v6 ? 1U : 0U);
}

void Translator::rebind(std::optional<AddressId> new_address) {
  active_ = true;
  if (new_address) shown_ = *new_address;
  for (Nat& table : tables_) table.rebind(new_address);
}

std::optional<Endpoint> Translator::inside_of(Endpoint outside, const Layout& as) const {
  if (as.transport != 0) return tables_[table_of(as)].inward(outside);
  if (outside.address == shown_) return Endpoint{host_, 0};
  return std::nullopt;
}

void Translator::outward(MutableBytes header, const Layout& layout, Checksum checksum) {
  if (!active_) return;
  const auto inside = endpoint_in(header, layout, End::kSource);
  if (!inside || inside->address != host_) return;  // an address of its user's own
  const Endpoint outside =
      layout.transport == 0 ? Endpoint{shown_, 0} : tables_[table_of(layout)].outward(*inside);
  set_endpoint(header, layout, End::kSource, outside.address, outside.port, checksum);
}

Translator::Fate Translator::inward(MutableBytes header, const Layout& layout,
                                    Checksum checksum) const {
  if (!active_) return Fate::kPassed;
  const auto outside = endpoint_in(header, layout, End::kDestination);
  if (!outside) return Fate::kPassed;
  // An address of its user's own has not been through this NAT on its way out either.
  if (outside->address != host_ && !is_alias(outside->address)) return Fate::kPassed;
  const auto inside = inside_of(*outside, layout);
  if (!inside) return Fate::kLost;
  set_endpoint(header, layout, End::kDestination, inside->address, inside->port, checksum);
  return Fate::kPassed;
}

void Translator::undo(MutableBytes header, const Layout& layout) const {
  if (!active_) return;
  const auto outside = endpoint_in(header, layout, End::kSource);
  if (!outside) return;
  const auto inside = inside_of(*outside, layout);
  if (inside)
    set_endpoint(header, layout, End::kSource, inside->address, inside->port, Checksum::kWhole);
}

}  // namespace netsim::emulator
