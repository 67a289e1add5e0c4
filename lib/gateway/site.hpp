// Site: the place where a dataset lies or arrives, as a feed (lib/client/feed.hpp) looks at it: a
// streamer's ROOT as files (site_files.hpp), or a gateway to one (remote_site.hpp). What it hands
// out is not to be trusted: whoever reads checks each chunk against the manifest. Not thread-safe;
// blocks on the disk, or on the gateway for at most kAnswerPatience a call.
//
// Errors: kTimeout means that nobody answered and that asking again is right; all others are final.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include "lib/store/demand.hpp"
#include "lib/store/version.hpp"

namespace longhaul::gateway {

// Which file stands under a name, and in which state: another value for another one.
using Mark = std::array<std::int64_t, 5>;

class Site {
 public:
  virtual ~Site() = default;

  // For people: "below /data/root", "through the gateway at tcp://login1:7710".
  virtual std::string where() const = 0;
  // The version that `current` names; nullopt if there is none.
  virtual Result<std::optional<store::VersionNo>> current(const store::DatasetName& dataset) = 0;
  struct Seen {
    Mark mark{};
    std::uint64_t bytes = 0;
  };
  // nullopt: no regular file stands there.
  virtual Result<std::optional<Seen>> look(const store::TreeName& name) = 0;
  // Fills `out` from `offset` on. kNot: there is no such file, or not so much of it; what is in
  // `out` then means nothing.
  enum class Filled : std::uint8_t { kNot, kWhole };
  virtual Result<Filled> read(const store::TreeName& name, std::uint64_t offset,
                              MutableBytes out) = 0;
  // What a reader needs next, instead of what it said before; and that it needs nothing more.
  // Hints: they cannot fail.
  virtual void want(const store::DatasetName& dataset, const store::Demand& demand) = 0;
  virtual void want_nothing(const store::DatasetName& dataset) = 0;
};

// The whole file, as one that did not change while it was read; nullopt: there is none, or it kept
// changing. kLimit: it is longer than `most`.
Result<std::optional<ByteVector>> read_whole(Site& site, const store::TreeName& name,
                                             std::uint64_t most);

}  // namespace longhaul::gateway
