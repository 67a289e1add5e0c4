// Node: this machine's identity on disk: `identity.pem` (0600) in a folder of its own. The calls
// read and write a disk: they belong into a program's start.
#pragma once

#include "lib/crypto/identity.hpp"
#include "lib/store/files.hpp"

namespace longhaul::auth {

// kNotFound when there is none yet; kPermission when others may read the file, since then it is no
// secret.
Result<crypto::Identity> load_identity(store::Files& files);
enum class Made : std::uint8_t { kNew, kThere };
struct MadeIdentity {
  crypto::Identity identity;
  Made made;
};
// Loads it, or generates and stores one durably. Two processes at once end with the same one.
Result<MadeIdentity> make_identity(store::Files& files);

}  // namespace longhaul::auth
