// What all forms of `join` share: who we are, pairing at an address, keeping the site.
#pragma once

#include "lib/auth/node.hpp"
#include "lib/io/task_group.hpp"
#include "proxy/app.hpp"
#include "proxy/callers.hpp"
#include "proxy/files.hpp"
#include "proxy/pair.hpp"
#include "proxy/sites_file.hpp"

namespace longhaul::proxy {

std::string own_name();  // this machine's name: what we call ourselves at a site

inline Result<crypto::Identity> own_identity(const App& app) {
  const auto config = TRY(private_folder(app.home.config));
  return TRY(auth::make_identity(*config)).identity;
}

// Dials the invite's address and pairs there.
io::Task<Result<auth::Paired>> pair_at(App& app, const crypto::Identity& identity,
                                       const auth::InviteLine& invite);
// Adds it to the sites and says so; returns the exit code.
int keep_site(App& app, const Site& site);

}  // namespace longhaul::proxy
