// `longhaul ckpt`: its part of the command tree.
#pragma once

#include "tools/longhaul/chosen.hpp"

namespace longhaul {

void add_ckpt(CLI::App& root, Chosen& chosen);  // `chosen` outlives the parse

}  // namespace longhaul
