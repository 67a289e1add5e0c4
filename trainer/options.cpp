#include "trainer/options.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "lib/base/escape.hpp"
#include "trainer/json.hpp"

namespace longhaul::trainer {
namespace {

tl::unexpected<Error> refused(const std::string& name, std::string_view text, const char* wanted) {
  return fail(Kind::kUsage, fmt::format("read --{} \"{}\"", name, printable(text, 64)), wanted);
}

template <class Number>
bool read_all(std::string_view text, Number& out) {
  const auto read = std::from_chars(text.data(), text.data() + text.size(), out);
  return read.ec == std::errc() && read.ptr == text.data() + text.size();
}

}  // namespace

void Options::add(std::string name, std::uint64_t& field, std::string help) {
  const auto set = [&field, name](std::string_view text) -> Result<> {
    if (!read_all(text, field)) return refused(name, text, "a whole number is wanted");
    return {};
  };
  fields_.push_back(
      {name, std::move(help), true, false, set, [&field] { return fmt::to_string(field); }});
}

void Options::add(std::string name, double& field, std::string help) {
  const auto set = [&field, name](std::string_view text) -> Result<> {
    if (!read_all(text, field) || !std::isfinite(field))
      return refused(name, text, "a number is wanted");
    return {};
  };
  fields_.push_back(
      {name, std::move(help), true, false, set, [&field] { return fmt::to_string(field); }});
}

void Options::add(std::string name, std::string& field, std::string help) {
  const auto set = [&field](std::string_view text) -> Result<> {
    field = std::string(text);
    return {};
  };
  fields_.push_back({name, std::move(help), true, true, set, [&field] { return field; }});
}

void Options::add(std::string name, Path& field, std::string help) {
  const auto set = [&field](std::string_view text) -> Result<> {
    field = Path(text);
    return {};
  };
  fields_.push_back({name, std::move(help), true, true, set, [&field] { return field.native(); }});
}

void Options::add(std::string name, bool& field, std::string help) {
  const auto set = [&field](std::string_view) -> Result<> {
    field = true;
    return {};
  };
  fields_.push_back({name, std::move(help), false, false, set,
                     [&field] { return std::string(field ? "true" : "false"); }});
}

void Options::add(std::string name, std::vector<Path>& field, std::string help) {
  const auto set = [&field](std::string_view text) -> Result<> {
    field.emplace_back(text);
    return {};
  };
  const auto show = [&field] {
    std::string out;
    for (const Path& path : field) out += (out.empty() ? "" : ",") + path.native();
    return out;
  };
  fields_.push_back({name, std::move(help), true, true, set, show});
}

Result<std::vector<std::string>> Options::parse(std::span<const std::string> arguments) {
  std::vector<std::string> rest;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const std::string& argument = arguments[i];
    if (!argument.starts_with("--")) {
      rest.push_back(argument);
      continue;
    }
    const auto equals = argument.find('=');
    const std::string name = argument.substr(2, equals == std::string::npos ? equals : equals - 2);
    const auto field = std::find_if(fields_.begin(), fields_.end(),
                                    [&](const Field& one) { return one.name == name; });
    if (field == fields_.end())
      return fail(Error(Kind::kUsage, "read the command", "unknown flag --" + printable(name, 64))
                      .advise("see --help"));
    if (!field->takes_value && equals == std::string::npos) {
      TRY(field->set(""));
    } else if (equals != std::string::npos && field->takes_value) {
      TRY(field->set(std::string_view(argument).substr(equals + 1)));
    } else if (field->takes_value && i + 1 < arguments.size()) {
      TRY(field->set(arguments[++i]));
    } else {
      return refused(name, "", field->takes_value ? "a value is wanted" : "it takes no value");
    }
  }
  return rest;
}

std::string Options::help() const {
  std::string out;
  for (const Field& field : fields_) {
    const std::string value = field.show();
    out +=
        fmt::format("  --{:<20} {}{}\n", field.name + (field.takes_value ? " X" : ""), field.help,
                    field.takes_value && !value.empty() ? fmt::format(" [{}]", value) : "");
  }
  return out;
}

std::string Options::json() const {
  std::string out;
  for (const Field& field : fields_) {
    const std::string value = field.show();
    out += fmt::format("{}{}:{}", out.empty() ? "" : ",", json_quoted(field.name),
                       field.quoted ? json_quoted(value) : value);
  }
  return "{" + out + "}";
}

}  // namespace longhaul::trainer
