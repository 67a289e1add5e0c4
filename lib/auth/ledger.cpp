#include "lib/auth/ledger.hpp"

namespace longhaul::auth {
namespace {

constexpr std::string_view kPeers = "peers\n";
constexpr std::string_view kInvites = "invites\n";
constexpr std::uint32_t kPrivateMode = 0600;
constexpr std::size_t kLedgerBytesMax = 4U
                                        << 20;  // 10,000 peers of at most 200 bytes and 64 invites

store::TreeName ledger_name() {
  return store::TreeName::known("ledger");
}
store::TreeName lock_name() {
  return store::TreeName::known("ledger.lock");
}

}  // namespace

Result<Ledger> Ledger::parse(std::string_view text) {
  Ledger out;
  const std::size_t split = text.find(kInvites);
  if (!text.starts_with(kPeers) || split == std::string_view::npos)
    return fail(Error(Kind::kMalformed, "read the ledger of peers", "its headings are missing")
                    .advise("restore the file from a backup, or remove it and pair again"));
  out.peers = TRY(PeerBook::parse(text.substr(kPeers.size(), split - kPeers.size())));
  out.invites = TRY(Invites::parse(text.substr(split + kInvites.size())));
  return out;
}

std::string Ledger::text() const {
  return std::string(kPeers) + peers.text() + std::string(kInvites) + invites.text();
}

Result<Ledger> load_ledger(store::Files& files) {
  const auto bytes = store::read_whole(files, ledger_name(), kLedgerBytesMax);
  if (!bytes && bytes.error().kind() == Kind::kNotFound) return Ledger{};
  if (!bytes) return fail(bytes.error());
  return Ledger::parse(text_of(*bytes));
}

Result<> change_ledger(store::Files& files, const std::function<Result<>(Ledger&)>& change) {
  const auto held = TRY(files.lock(lock_name()));
  Ledger ledger = TRY(load_ledger(files));
  TRY(change(ledger));
  return store::write_whole(files, ledger_name(), bytes_of(ledger.text()), kPrivateMode);
}

}  // namespace longhaul::auth
