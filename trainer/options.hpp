// Options: a command's flags as a list of fields. One list gives --help, the parser and the text of
// what a run was started with. No outside library: a machine with GPUs may have none.
//
//   Options options;
//   options.add("steps", run.steps, "optimizer steps of the whole run");
//   auto rest = options.parse(arguments);        // --steps 100 or --steps=100
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "trainer/posix_file.hpp"

namespace longhaul::trainer {

class Options {
 public:
  // The field keeps its value unless the flag is given; it must outlive this object.
  void add(std::string name, std::uint64_t& field, std::string help);
  void add(std::string name, double& field, std::string help);
  void add(std::string name, std::string& field, std::string help);
  void add(std::string name, Path& field, std::string help);
  void add(std::string name, bool& field, std::string help);               // a flag without value
  void add(std::string name, std::vector<Path>& field, std::string help);  // may be repeated

  // Sets fields; returns what is no flag. kUsage names an unknown flag or a value that makes no
  // sense.
  Result<std::vector<std::string>> parse(std::span<const std::string> arguments);
  std::string help() const;  // a line each, with defaults
  std::string json() const;  // an object of all, as they are now

 private:
  struct Field {
    std::string name, help;
    bool takes_value, quoted;  // quoted: JSON needs quotes around it
    std::function<Result<>(std::string_view)> set;
    std::function<std::string()> show;
  };
  std::vector<Field> fields_;
};

}  // namespace longhaul::trainer
