// Waiting: what the progress line says while a session has no link.
#pragma once

#include <optional>
#include <string>

#include "lib/base/error.hpp"
#include "lib/base/units.hpp"

namespace longhaul::proxy {

struct Waiting {
  std::string site;
  bool was_linked = false;    // else it has not been reached yet
  bool is_called = false;     // the site dials us
  std::optional<Error> dial;  // why the last dial failed
  Duration since{};
};
std::string words_for(const Waiting& waiting);

}  // namespace longhaul::proxy
