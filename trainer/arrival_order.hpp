// ArrivalOrder: which blocks the first epoch of `--order arrival` takes next, of a dataset on its
// way: those that are here, so that nobody waits for one that is not. What a turn takes is written
// to RUN/order/000000, 000001 .. before a token of it is read, under a name that is given once:
// what stands there is what every rank and every later attempt reads, so a resume repeats it. Text:
//
//   longhaul order 1
//   12 3456              blocks of the dataset, samples an epoch
//   7 0 3                the turn's blocks, in the order in which they are read
//   59c0..               checksum of the lines before, 16 hex digits
//
// Blocks on the disk; the loader's thread.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "trainer/posix_file.hpp"
#include "trainer/sample_order.hpp"

namespace longhaul::trainer {

class ArrivalOrder {
 public:
  // seed: in which order it looks for blocks, and so takes them where all are here.
  ArrivalOrder(Path folder, std::uint64_t seed) : folder_(std::move(folder)), seed_(seed) {}

  // Gives `order` the turns that are recorded. kMalformed if one is broken or of other data.
  Result<> replay(SampleOrder& order) const;
  // Gives it its next turn: the recorded one, else of what is here. kNotYet: there is neither.
  Result<Presence> next(SampleOrder& order, DataSource& source);

 private:
  Path path_of(std::size_t turn) const;
  Result<std::optional<std::vector<std::uint32_t>>> recorded(const SampleOrder& order) const;
  Result<Presence> look_at(std::uint32_t block, const SampleOrder& order, DataSource& source);
  Result<std::vector<std::uint32_t>> found(const SampleOrder& order, DataSource& source);

  Path folder_;
  std::uint64_t seed_;
  std::vector<std::uint32_t> looks_;  // blocks, in the order in which they are looked for
  std::size_t look_ = 0;              // where the next look begins
  std::vector<std::uint64_t> seen_;   // of each block: so many tokens were here
};

}  // namespace longhaul::trainer
