// Role: what a paired node may do. Decided by the node that invited, kept in its peer book.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace longhaul::auth {

enum class Role : std::uint8_t {
  kOwner,     // everything
  kObserver,  // read lists and metrics
  kSite,      // exchange updates of the runs it was named for
};
std::string_view name_of(Role role);  // "owner", ..
std::optional<Role> role_named(std::string_view name);

}  // namespace longhaul::auth
