// Ledger: a node's peers and open invites in one file, so that spending an invite and storing the
// key it admits is one atomic, durable step: after power loss both have happened or neither. The
// calls read and write a disk: they belong into a Job or into a program's start.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "lib/auth/invite.hpp"
#include "lib/auth/peer_book.hpp"
#include "lib/store/files.hpp"

namespace longhaul::auth {

struct Ledger {
  PeerBook peers;
  Invites invites;

  static Result<Ledger> parse(std::string_view text);
  std::string text() const;
};

// No file is an empty ledger; a broken one is an error, so that it lets nobody in.
Result<Ledger> load_ledger(store::Files& files);
// Under the ledger's lock: loads, changes, replaces the file durably. Nothing is written if
// `change` fails. kBusy while another process (`invite`, `peers`) is at it: try again.
Result<> change_ledger(store::Files& files, const std::function<Result<>(Ledger&)>& change);

}  // namespace longhaul::auth
