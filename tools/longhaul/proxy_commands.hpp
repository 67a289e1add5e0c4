// `longhaul proxy ..`: the tree of its commands.
#pragma once

#include "tools/longhaul/chosen.hpp"

namespace longhaul {

void add_proxy(CLI::App& root, Chosen& chosen);

}  // namespace longhaul
