// The built-in profiles as JSON text; profile.hpp is what others use.
#pragma once

#include <span>
#include <string_view>

namespace netsim {

struct BuiltIn {
  std::string_view name, json;
};
std::span<const BuiltIn> built_ins();

}  // namespace netsim
