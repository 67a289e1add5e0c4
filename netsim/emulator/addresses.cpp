#include "netsim/emulator/addresses.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "lib/base/assert.hpp"

namespace netsim::emulator {
namespace {

using longhaul::load_be;
using longhaul::store_be;

constexpr std::uint32_t kBase4 = 0xC6120000;  // 198.18.0.0
constexpr std::uint32_t kAlias4 = kBase4 + (64U << 8);
constexpr std::uint32_t kMoved4 = kBase4 + (1U << 16);
constexpr std::uint32_t kFirstHost4 = 1, kFirstHost6 = 10, kHosts = 128;
constexpr std::uint16_t kAliases6 = 1, kMoved6 = 2;  // the fourth group
constexpr std::uint32_t kPrefix6 = 0x20010002;       // 2001:2::

struct Place {
  std::size_t at, bytes;
};
Place place_of(bool v6, End end) {
  if (v6) return {end == End::kSource ? std::size_t{8} : std::size_t{24}, 16};
  return {end == End::kSource ? std::size_t{12} : std::size_t{16}, 4};
}

std::uint32_t number4(AddressId id) {
  if (id >= kFirstMoved) return kMoved4 + (id - kFirstMoved);
  return is_alias(id) ? kAlias4 + (id - kFirstAlias) : kBase4 + kFirstHost4 + id;
}

struct Groups6 {  // of 2001:2:0:FOURTH::LAST
  std::uint16_t fourth;
  std::uint32_t last;
};
Groups6 groups6(AddressId id) {
  if (id >= kFirstMoved) return {kMoved6, id - kFirstMoved};
  return is_alias(id) ? Groups6{kAliases6, id - kFirstAlias} : Groups6{0, id + kFirstHost6};
}

// The host's number and which of its places, as moved() has them together.
std::optional<AddressId> moved_to(std::uint32_t place) {
  const std::uint32_t k = place & 0xFFU;
  if (place >= kHosts << 8 || k == 0 || k > kMovesMax) return std::nullopt;
  return kFirstMoved + place;
}

void write_address(MutableBytes out, bool v6, AddressId id) {
  if (!v6) return store_be(out, number4(id));
  std::fill(out.begin(), out.end(), std::byte{0});
  store_be(out, kPrefix6);
  const Groups6 groups = groups6(id);
  store_be(out.subspan(6), groups.fourth);
  store_be(out.subspan(12), groups.last);
}

// RFC 1624, equation 3, with sums in host order: what the sum becomes when `before` turns `after`.
std::uint16_t mended(std::uint16_t sum, std::uint16_t before, std::uint16_t after) {
  std::uint32_t out = sum + static_cast<std::uint16_t>(~before) + std::uint32_t{after};
  while (out >> 16 != 0) out = (out & 0xFFFFU) + (out >> 16);
  return static_cast<std::uint16_t>(out);
}

void mend_icmp6(MutableBytes packet, const Layout& layout, std::uint16_t before,
                std::uint16_t after) {
  constexpr std::byte kIcmp6{58};
  const bool icmp = layout.v6 && packet[6] == kIcmp6 && packet.size() >= layout.network_bytes + 4U;
  if (!icmp) return;
  const MutableBytes field = packet.subspan(layout.network_bytes + 2U);
  const auto old = static_cast<std::uint16_t>(~load_be<std::uint16_t>(field));
  store_be(field, static_cast<std::uint16_t>(~mended(old, before, after)));
}

}  // namespace

std::string address4(AddressId id) {
  const std::uint32_t n = number4(id);
  return fmt::format("{}.{}.{}.{}", n >> 24, n >> 16 & 0xFFU, n >> 8 & 0xFFU, n & 0xFFU);
}

std::string address6(AddressId id) {
  const Groups6 groups = groups6(id);
  if (groups.fourth == 0) return fmt::format("2001:2::{:x}", groups.last);
  return fmt::format("2001:2:0:{:x}::{:x}", groups.fourth, groups.last);
}

std::optional<AddressId> address_in(Bytes packet, bool v6, End end) {
  const Place place = place_of(v6, end);
  const Bytes bytes = packet.subspan(place.at, place.bytes);
  if (!v6) {
    const std::uint32_t n = load_be<std::uint32_t>(bytes);
    if (n >= kAlias4 && n < kAlias4 + kAliasesMax) return kFirstAlias + (n - kAlias4);
    if (n >= kMoved4 && n < kMoved4 + (kHosts << 8)) return moved_to(n - kMoved4);
    const std::uint32_t host = n - kBase4 - kFirstHost4;  // wraps for what is below
    return host < kHosts ? std::optional(host) : std::nullopt;
  }
  if (load_be<std::uint32_t>(bytes) != kPrefix6) return std::nullopt;
  const auto middle = load_be<std::uint32_t>(bytes.subspan(4));
  const auto last = load_be<std::uint32_t>(bytes.subspan(12));
  if (load_be<std::uint32_t>(bytes.subspan(8)) != 0) return std::nullopt;
  if (middle == kAliases6)
    return last < kAliasesMax ? std::optional(kFirstAlias + last) : std::nullopt;
  if (middle == kMoved6) return moved_to(last);
  if (middle != 0) return std::nullopt;
  const std::uint32_t host = last - kFirstHost6;
  return host < kHosts ? std::optional(host) : std::nullopt;
}

std::uint16_t port_in(Bytes header, const Layout& layout, End end) {
  return load_be<std::uint16_t>(
      header.subspan(layout.network_bytes + (end == End::kSource ? 0U : 2U)));
}

void set_endpoint(MutableBytes header, const Layout& layout, End end, AddressId address,
                  std::uint16_t port, Checksum checksum) {
  const Place place = place_of(layout.v6, end);
  const MutableBytes where = header.subspan(place.at, place.bytes);
  const std::uint16_t before = ones_sum(where);
  write_address(where, layout.v6, address);
  const std::uint16_t after = ones_sum(where);
  fill_ip_checksum(header);
  if (layout.transport == 0) return mend_icmp6(header, layout, before, after);
  const MutableBytes port_at =
      header.subspan(layout.network_bytes + (end == End::kSource ? 0U : 2U));
  const auto old_port = load_be<std::uint16_t>(port_at);
  store_be(port_at, port);
  const MutableBytes field = header.subspan(layout.network_bytes + checksum_offset(layout));
  const auto old = load_be<std::uint16_t>(field);
  if (checksum == Checksum::kPartial) return store_be(field, mended(old, before, after));
  const bool udp = layout.transport == kUdp;
  if (udp && !layout.v6 && old == 0) return;
  const std::uint16_t sum =
      mended(mended(static_cast<std::uint16_t>(~old), before, after), old_port, port);
  auto out = static_cast<std::uint16_t>(~sum);
  if (udp && out == 0) out = 0xFFFF;  // zero would mean: none
  store_be(field, out);
}

}  // namespace netsim::emulator
