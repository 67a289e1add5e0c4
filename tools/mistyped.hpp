// Mistyped: what a program says when its command line names no command or option of its own: the
// word, what is there instead and what it was probably meant to be. For the mains, after CLI11 has
// thrown.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include <CLI/App.hpp>

#include "lib/base/escape.hpp"
#include "lib/base/spelling.hpp"

namespace longhaul {

struct Mistyped {
  std::string word, what, meant;
};

inline std::vector<std::string> commands_below(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; }))
    names.push_back(command->get_name());
  return names;
}

inline std::vector<std::string> options_of(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::Option* option : app.get_options())
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
  return names;
}

// `words`: the command line without the program. The first word that stands where a command or a
// long option must and is none.
inline std::optional<Mistyped> find_mistyped(const CLI::App& root,
                                             const std::vector<std::string>& words) {
  const CLI::App* app = &root;
  for (std::size_t at = 0; at < words.size(); ++at) {
    const std::string& word = words[at];
    if (word == "--") return std::nullopt;
    if (word.starts_with("--")) {
      const std::string name = word.substr(0, word.find('='));
      const std::vector<std::string> known = options_of(*app);
      if (std::find(known.begin(), known.end(), name) == known.end())
        return Mistyped{name, "option", nearest_word(name, known)};
      if (word == name && app->get_option(name)->get_items_expected_max() > 0) ++at;  // its value
      continue;
    }
    if (word.starts_with("-")) continue;
    const std::vector<std::string> commands = commands_below(*app);
    if (commands.empty()) continue;  // a plain argument
    const auto found = std::find(commands.begin(), commands.end(), word);
    if (found == commands.end()) return Mistyped{word, "command", nearest_word(word, commands)};
    app = app->get_subcommand(word);
  }
  return std::nullopt;
}

inline std::string to_text(const Mistyped& mistyped, const std::string& program) {
  std::string text = fmt::format("{}: there is no {} '{}'\n", program, mistyped.what,
                                 printable(mistyped.word, 80));
  if (!mistyped.meant.empty()) text += fmt::format("  do:  did you mean '{}'?\n", mistyped.meant);
  return text + fmt::format("       `{} --help` lists what there is\n", program);
}

}  // namespace longhaul
