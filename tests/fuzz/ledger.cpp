// Any text as the file of peers and invites: what is accepted reads the same after writing.
#include "lib/auth/ledger.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace longhaul;
  using namespace longhaul::auth;
  const auto text = text_of(std::as_bytes(std::span(data, size)));
  if (const auto ledger = Ledger::parse(text); ledger.has_value()) {
    const auto again = Ledger::parse(ledger->text());
    ASSERT(again.has_value() && again->text() == ledger->text());
    ASSERT(again->peers.all() == ledger->peers.all());
  }
  if (const auto book = PeerBook::parse(text); book.has_value()) {
    const auto again = PeerBook::parse(book->text());
    ASSERT(again.has_value() && again->all() == book->all());
  }
  return 0;
}
