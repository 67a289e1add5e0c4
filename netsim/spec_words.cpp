#include "netsim/spec_words.hpp"

#include <fmt/format.h>

#include "lib/base/escape.hpp"

namespace netsim::words {

std::vector<std::string_view> split(std::string_view text, char at) {
  std::vector<std::string_view> out;
  for (;;) {
    const auto end = text.find(at);
    out.push_back(text.substr(0, end));
    if (end == std::string_view::npos) return out;
    text.remove_prefix(end + 1);
  }
}

std::vector<std::string_view> split_words(std::string_view text) {
  std::vector<std::string_view> out;
  for (const std::string_view word : split(text, ' '))
    if (!word.empty()) out.push_back(word);
  return out;
}

std::optional<std::string_view> tail_of(std::string_view text, std::string_view head) {
  if (!text.starts_with(head)) return std::nullopt;
  return text.substr(head.size());
}

tl::unexpected<longhaul::Error> refuse(std::string_view what, std::string_view text,
                                       std::string why) {
  return longhaul::fail(
      longhaul::Kind::kUsage,
      fmt::format("read {} '{}'", longhaul::printable(what, 80), longhaul::printable(text, 80)),
      std::move(why));
}

}  // namespace netsim::words
