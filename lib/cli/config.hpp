// Settings in layers: flag > environment > ./longhaul.toml > user's config file > default. Every
// value knows where it came from, so that an error or `doctor` can name the place. Pure: the caller
// reads files and the environment. Keys are dotted lower case ("push.limit_rate"); in the
// environment LONGHAUL_PUSH_LIMIT_RATE.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/result.hpp"

namespace longhaul::cli {

struct Setting {
  std::string value;
  std::string origin;  // "LONGHAUL_PUSH_LIMIT_RATE", "longhaul.toml:3"
};

class Config {
 public:
  using Environment = std::function<std::optional<std::string>(const std::string& name)>;
  explicit Config(Environment environment) : environment_(std::move(environment)) {}

  // Layers a TOML file below those given before. kMalformed names the file, line and column.
  // Unknown keys are refused, so that a spelling mistake is not silently ignored.
  Result<> add_file(std::string_view text, const std::string& file_name);
  std::optional<Setting> find(const std::string& key) const;
  static const std::vector<std::string_view>& known_keys();
  static std::string variable_of(std::string_view key);

 private:
  Environment environment_;
  std::vector<std::map<std::string, Setting>> files_;
};

}  // namespace longhaul::cli
