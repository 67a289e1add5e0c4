// Shell completion scripts for `longhaul`, made from its own command tree, so they cannot fall
// behind it.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include <CLI/App.hpp>

namespace longhaul {

// For "bash", "zsh" or "fish"; nullopt for another shell.
std::optional<std::string> completion_script(const CLI::App& root, std::string_view shell);

}  // namespace longhaul
