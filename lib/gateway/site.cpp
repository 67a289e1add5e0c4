#include "lib/gateway/site.hpp"

namespace longhaul::gateway {

Result<std::optional<ByteVector>> read_whole(Site& site, const store::TreeName& name,
                                             std::uint64_t most) {
  constexpr int kTries = 3;
  for (int tries = 0; tries < kTries; ++tries) {
    const auto before = TRY(site.look(name));
    if (!before) return std::optional<ByteVector>();
    if (before->bytes > most)
      return fail(Kind::kLimit, "read " + name.shown() + " " + site.where(), "it is too large");
    ByteVector bytes(before->bytes);
    if (TRY(site.read(name, 0, bytes)) == Site::Filled::kNot)
      continue;  // replaced or removed just now
    const auto after = TRY(site.look(name));
    if (after && after->mark == before->mark) return std::optional(std::move(bytes));
  }
  return std::optional<ByteVector>();
}

}  // namespace longhaul::gateway
