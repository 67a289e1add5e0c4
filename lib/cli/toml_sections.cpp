#include "lib/cli/toml_sections.hpp"

#include <fmt/format.h>
#include <toml++/toml.h>

#include <sstream>

#include "lib/base/escape.hpp"

namespace longhaul::cli {

Result<Sections> read_sections(std::string_view text, const std::string& file_name) {
  toml::table parsed;
  try {  // the distribution's library reports by throwing; it stops here
    parsed = toml::parse(text, file_name);
  } catch (const toml::parse_error& error) {
    const auto at = error.source().begin;
    return fail(Kind::kMalformed, fmt::format("read {}:{}:{}", file_name, at.line, at.column),
                printable(error.description()));
  }
  Sections out;
  for (const auto& [name, node] : parsed) {
    const auto* section = node.as_table();
    const auto refuse = [&](const toml::node& where) {
      return fail(Kind::kMalformed, fmt::format("read {}:{}", file_name, where.source().begin.line),
                  "only [sections] of plain values belong here");
    };
    if (section == nullptr) return refuse(node);
    auto& values = out[std::string(name.str())];
    for (const auto& [key, value] : *section) {
      if (!value.is_value()) return refuse(value);
      if (const auto* string = value.as_string()) {
        values[std::string(key.str())] = string->get();
        continue;
      }
      std::ostringstream plain;
      value.visit([&](const auto& v) { plain << v; });
      values[std::string(key.str())] = plain.str();
    }
  }
  return out;
}

std::string write_sections(const Sections& sections) {
  toml::table root;
  for (const auto& [name, values] : sections) {
    toml::table section;
    for (const auto& [key, value] : values) section.insert(key, value);
    root.insert(name, std::move(section));
  }
  std::ostringstream out;
  out << root << "\n";
  return out.str();
}

}  // namespace longhaul::cli
