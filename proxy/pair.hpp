// The joining side of pairing over a real connection: see that the inviter's key is the invited
// one, prove the secret, hear its answer. One deadline over all of it.
#pragma once

#include "lib/auth/pairing.hpp"
#include "lib/io/env.hpp"

namespace longhaul::proxy {

// Talks over a connection that has just been opened and closes it. `name`: what we call ourselves
// there. kAuth: it is somebody else, or the invite is not good.
io::Task<Result<auth::Paired>> pair(io::Env& env, const crypto::Identity& identity,
                                    const auth::InviteLine& invite, std::string name,
                                    std::unique_ptr<io::Stream> stream);

}  // namespace longhaul::proxy
