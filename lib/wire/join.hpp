// The exchange that spends an invite, on a TLS connection of its own: the dialler's Join, then
// Joined or Refuse. lib/auth/pairing.hpp says what the proofs cover. Values; any thread.
#pragma once

#include <array>
#include <cstdint>

#include "lib/wire/codec.hpp"
#include "lib/wire/limits.hpp"

namespace longhaul::wire {

enum class Role : std::uint8_t {
  kOwner = 0,     // everything
  kObserver = 1,  // reads metrics and lists
  kSite = 2,      // the update lane of named runs
};
constexpr auto wire_values(Role) {
  return std::array{Known{Role::kOwner, "owner"}, Known{Role::kObserver, "observer"},
                    Known{Role::kSite, "site"}};
}

struct Join {
  std::uint32_t version = 1;
  std::array<std::byte, 32> proof{};
  Text<kNodeNameMax> name;
  bool operator==(const Join&) const = default;
  template <class F>
  static void fields(F& f) {
    f(&Join::version, "version", "of this exchange");
    f(&Join::proof, "proof", "that the dialler holds the invite's secret");
    f(&Join::name, "name", "what the dialler calls itself");
  }
};

struct Joined {
  Role role = Role::kOwner;
  std::array<std::byte, 32> proof{};
  Text<kNodeNameMax> name;
  bool operator==(const Joined&) const = default;
  template <class F>
  static void fields(F& f) {
    f(&Joined::role, "role", "what the invite grants; it is spent and the key is stored");
    f(&Joined::proof, "proof", "that the accepting side holds the secret too");
    f(&Joined::name, "name", "what the accepting side calls itself");
  }
};

}  // namespace longhaul::wire
