// Collectives: sums and gathers over all ranks. A port: Gloo on CPUs (gloo_collectives.cpp), NCCL
// on GPUs (nccl_collectives.cpp). Every rank makes the same calls in the same order, from one
// thread at a time, and only after all have met at the gate. Calls block; kLink when a rank is
// gone, kTimeout when one does not come in time; after an error no call succeeds any more.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "lib/base/result.hpp"
#include "lib/base/units.hpp"

namespace longhaul::trainer {

class Collectives {
 public:
  virtual ~Collectives() = default;
  // In place: the values become their sums over the ranks, the same bits at each. The order of the
  // additions depends on the number of ranks and of values alone.
  virtual Result<> sum(std::span<float> values) = 0;
  virtual Result<> sum(std::span<double> values) = 0;
  // `all` is counts[r] values of each rank r, one behind the other; this rank's are there, the
  // others' are filled in.
  virtual Result<> gather(std::span<float> all, std::span<const std::size_t> counts) = 0;
};

struct Membership {
  std::uint64_t rank = 0, ranks = 1, gpu = 0;
  std::string address;  // of this host, as the others reach it
  Duration patience{};  // for one call
  // Every rank's text at every rank (Star::exchange).
  std::function<Result<std::vector<std::string>>(const std::string& mine)> exchange;
  // Why no call can end any more, seen outside of the collectives (Star::gone); asked while a call
  // waits, by its thread. Not by Gloo, whose own connections close with a rank's.
  std::function<std::optional<std::string>()> gone{};
};
// kUnsupported in a build without Gloo. GLOO_SOCKET_IFNAME chooses another network than address's.
Result<std::unique_ptr<Collectives>> gloo_collectives(const Membership& membership);

}  // namespace longhaul::trainer
