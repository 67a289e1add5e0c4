// The joining side of pairing over a real connection: dial the inviter, see that its key is the
// invited one, prove the secret, hear its answer. One deadline over all of it.
#pragma once

#include "lib/auth/pairing.hpp"
#include "lib/io/env.hpp"

namespace longhaul::proxy {

struct PairedSite {
  auth::Paired site;  // the inviter, and what we may do there
  io::Endpoint address;
};
// `name`: what we call ourselves there.
io::Task<Result<PairedSite>> pair(io::Env& env, const crypto::Identity& identity,
                                  const auth::InviteLine& invite, std::string name);

}  // namespace longhaul::proxy
