// No empty values: an option or argument whose value is empty is refused, in every command. It
// comes from a shell variable that is not set, and what an absent value would mean (all addresses,
// list instead of revoke) is seldom what was meant then. For the mains, once the command tree
// stands.
#pragma once

#include <string>

#include <CLI/App.hpp>

namespace longhaul {

inline void refuse_empty_values(CLI::App& app) {
  for (CLI::Option* option : app.get_options()) {
    if (option->get_items_expected_max() == 0) continue;  // a flag
    const CLI::Validator not_empty(
        [](std::string& value) { return std::string(value.empty() ? "it is empty" : ""); }, "");
    option->check(not_empty);
  }
  for (CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; }))
    refuse_empty_values(*command);
}

}  // namespace longhaul
