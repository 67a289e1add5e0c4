// About: what a program says of itself: `version`, `--version` and `help [COMMAND..]`. For the
// mains.
//
//   const About about(root, "longhaul", LONGHAUL_VERSION);
//   root.parse(argc, argv);
//   if (const auto code = about.answer()) return *code;
#pragma once

#include <algorithm>
#include <iostream>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <CLI/CLI.hpp>

#include "lib/cli/exit_code.hpp"
#include "lib/cli/json_line.hpp"
#include "tools/mistyped.hpp"

namespace longhaul {

class About {
 public:
  About(CLI::App& root, std::string program, std::string version)
      : root_(root), program_(std::move(program)), version_(std::move(version)) {
    root.set_version_flag("--version", program_ + " " + version_);
    version_command_ = root.add_subcommand("version", "print the version");
    version_command_->add_flag("--json", json_, "one JSON object on stdout");
    help_ = root.add_subcommand("help", "print what --help does, of a command if one is named");
    help_->add_option("COMMAND", words_, "like push, or peers revoke");
  }
  About(const About&) = delete;  // CLI11 keeps where json_ and words_ are
  About& operator=(const About&) = delete;

  // The exit code, if this was what the command line asked for.
  std::optional<int> answer() const {
    if (version_command_->parsed()) {
      cli::JsonLine line;
      line.add("program", program_).add("version", version_);
      std::cout << (json_ ? line.text() : program_ + " " + version_) << "\n";
      return cli::kOk;
    }
    return help_->parsed() ? std::optional<int>(help()) : std::nullopt;
  }

 private:
  int help() const {
    const CLI::App* app = &root_;
    std::string name = root_.get_name();
    for (const std::string& word : words_) {
      const std::vector<std::string> known = commands_below(*app);
      if (std::find(known.begin(), known.end(), word) == known.end()) {
        std::cerr << to_text({word, "command", nearest_word(word, known)}, program_);
        return cli::kUsageError;
      }
      app = app->get_subcommand(word);
      name += " " + word;
    }
    // Not App::help(): that is of the command that was chosen, which is this one.
    std::cout << app->get_formatter()->make_help(app, name, CLI::AppFormatMode::Normal);
    return cli::kOk;
  }

  const CLI::App& root_;
  const std::string program_, version_;
  CLI::App* version_command_;
  CLI::App* help_;
  bool json_ = false;
  std::vector<std::string> words_;
};

}  // namespace longhaul
