#include "tools/longhaul/completion.hpp"

#include <fmt/format.h>

#include <vector>

namespace longhaul {
namespace {

std::string words_of(const CLI::App& app) {
  std::string words;
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; }))
    words += command->get_name() + " ";
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) words += "--" + name + " ";
  }
  if (!words.empty()) words.pop_back();
  return words;
}

std::vector<const CLI::App*> commands_of(const CLI::App& root) {
  return root.get_subcommands([](const CLI::App*) { return true; });
}

std::string bash_script(const CLI::App& root) {
  std::string cases;
  for (const CLI::App* command : commands_of(root))
    cases += fmt::format("    {}) words='{}' ;;\n", command->get_name(), words_of(*command));
  return fmt::format(
      "_longhaul() {{\n"
      "  local words current=${{COMP_WORDS[COMP_CWORD]}}\n"
      "  case ${{COMP_WORDS[1]}} in\n{}    *) words='{}' ;;\n  esac\n"
      "  [ \"$COMP_CWORD\" = 1 ] && words='{}'\n"
      "  COMPREPLY=($(compgen -W \"$words\" -- \"$current\"))\n"
      "}}\n"
      "complete -o default -F _longhaul longhaul\n",
      cases, words_of(root), words_of(root));
}

std::string zsh_script(const CLI::App& root) {
  return "#compdef longhaul\nautoload -U +X bashcompinit && bashcompinit\n" + bash_script(root);
}

std::string fish_script(const CLI::App& root) {
  std::string script = "complete -c longhaul -n __fish_use_subcommand -f\n";
  for (const CLI::App* command : commands_of(root)) {
    std::string about = command->get_description();
    for (std::size_t at = 0; (at = about.find('\'', at)) != std::string::npos; at += 2)
      about.insert(at, "\\");
    script += fmt::format("complete -c longhaul -n __fish_use_subcommand -a {} -d '{}'\n",
                          command->get_name(), about);
    for (const CLI::Option* option : command->get_options()) {
      for (const std::string& name : option->get_lnames()) {
        script += fmt::format("complete -c longhaul -n '__fish_seen_subcommand_from {}' -l {}\n",
                              command->get_name(), name);
      }
    }
  }
  return script;
}

}  // namespace

std::optional<std::string> completion_script(const CLI::App& root, std::string_view shell) {
  if (shell == "bash") return bash_script(root);
  if (shell == "zsh") return zsh_script(root);
  if (shell == "fish") return fish_script(root);
  return std::nullopt;
}

}  // namespace longhaul
