// Text that people and our own programs wrote: settings, sites, places, sizes, addresses, what was
// learned of a link. No crash, and what is accepted reads the same after writing.
#include <cstddef>
#include <cstdint>

#include "lib/base/assert.hpp"
#include "lib/cli/config.hpp"
#include "lib/cli/human.hpp"
#include "lib/cli/toml_sections.hpp"
#include "lib/io/endpoint.hpp"
#include "proxy/link_file.hpp"
#include "proxy/sites.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace longhaul;
  if (size > 16384) return 0;
  const std::string_view text = text_of(std::as_bytes(std::span(data, size)));
  if (const auto sections = cli::read_sections(text, "file")) {
    const auto again = cli::read_sections(cli::write_sections(*sections), "file");
    ASSERT(again.has_value() && *again == *sections);
  }
  cli::Config config([](const std::string&) { return std::nullopt; });
  (void)config.add_file(text, "file").has_value();
  if (const auto sites = proxy::Sites::parse(text)) {
    const auto again = proxy::Sites::parse(sites->text());
    ASSERT(again.has_value() && again->all() == sites->all());
  }
  if (const auto place = proxy::parse_place(text)) {
    ASSERT(proxy::check_name(place->site, "site").has_value());
  }
  const session::LinkMemory learned = proxy::link_in(text);
  ASSERT(proxy::link_in(proxy::link_text(learned)) == learned);
  (void)cli::parse_size(text).has_value();
  if (const auto rate = cli::parse_rate(text)) ASSERT(rate->value() > 0);
  if (const auto span = cli::parse_duration(text)) ASSERT(*span >= Duration{});
  if (const auto endpoint = io::parse_endpoint(text)) {
    const auto again = io::parse_endpoint(io::to_text(*endpoint));
    ASSERT(again.has_value() && *again == *endpoint);
  }
  return 0;
}
