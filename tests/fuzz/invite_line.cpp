// Any text as an invite: what is accepted is the same invite when written and read again.
#include "lib/auth/invite.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace longhaul;
  using namespace longhaul::auth;
  const auto line = parse_invite(text_of(std::as_bytes(std::span(data, size))));
  if (!line.has_value()) return 0;
  const auto again = parse_invite(to_text(*line));
  ASSERT(again.has_value());
  ASSERT(again->address == line->address && again->pin == line->pin &&
         again->secret == line->secret);
  return 0;
}
