#include <fmt/format.h>

#include "lib/wire/codec.hpp"

namespace longhaul::wire::detail {

std::string table_head() {
  return "| field | type | bytes | meaning |\n|---|---|---|---|\n";
}

std::string table_line(std::string_view name, std::string_view type, SizeRange size,
                       std::string_view note) {
  const std::string bytes = size.least == size.most ? fmt::format("{}", size.least)
                                                    : fmt::format("{}-{}", size.least, size.most);
  return fmt::format("| `{}` | {} | {} | {} |\n", name, type, bytes, note);
}

}  // namespace longhaul::wire::detail
