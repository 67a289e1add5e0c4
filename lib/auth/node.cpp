#include "lib/auth/node.hpp"

namespace longhaul::auth {
namespace {

constexpr std::size_t kPemBytesMax = 4096;
constexpr std::uint32_t kPrivateMode = 0600, kOthersMask = 0077;

store::TreeName identity_name() {
  return store::TreeName::known("identity.pem");
}

}  // namespace

Result<crypto::Identity> load_identity(store::Files& files) {
  const auto pem = store::read_whole(files, identity_name(), kPemBytesMax);
  if (!pem) {
    if (pem.error().kind() != Kind::kNotFound) return fail(pem.error());
    return fail(
        Error(Kind::kNotFound, "find this node's identity", "there is none yet")
            .advise("make it with `longhaul init` (or `longhaul-streamer run`, at a site)"));
  }
  const store::FileStat stat = TRY(files.stat(identity_name()));
  if ((stat.mode & kOthersMask) != 0) {
    return fail(
        Error(Kind::kPermission, "use this node's identity", "others may read identity.pem")
            .advise("run `chmod 600` on it; if others may have read it, remove it and pair anew"));
  }
  return crypto::Identity::from_pem(text_of(*pem));
}

Result<MadeIdentity> make_identity(store::Files& files) {
  const auto held = TRY(files.lock(store::TreeName::known("identity.lock")));
  auto there = load_identity(files);
  if (there) return MadeIdentity{*std::move(there), Made::kThere};
  if (there.error().kind() != Kind::kNotFound) return fail(there.error());
  crypto::Identity identity = crypto::Identity::generate();
  TRY(store::write_whole(files, identity_name(), bytes_of(identity.pem()), kPrivateMode));
  return MadeIdentity{std::move(identity), Made::kNew};
}

}  // namespace longhaul::auth
