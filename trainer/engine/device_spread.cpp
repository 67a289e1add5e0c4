// DeviceOptimizer's polar factors, spread over several ranks.
#include "trainer/engine/device_elements.hpp"
#include "trainer/engine/device_optimizer.hpp"

namespace longhaul::trainer {

template <class T>
void DeviceOptimizer<T>::spread(Spread over) {
  shares_.clear();
  spread_ = std::move(over);
  if (spread_.ranks == 1 || config_.matrices == MatrixRule::kAdamW) return;
  constexpr std::size_t kInAFloat = sizeof(float) / sizeof(T);
  const PolarShares placed = polar_shares(model_.layout(), spread_.ranks);
  gathered_ = at::zeros({placed.size}, model_.reading().options());
  counts_ = placed.counts;
  for (std::size_t& count : counts_) count /= kInAFloat;
  const auto end = placed.all.end();
  for (auto from = placed.all.begin(), to = from; from != end; from = to) {
    std::vector<std::int64_t> matrices;
    for (; to != end && to->owner == from->owner && to->group == from->group; ++to)
      matrices.push_back(to->k);
    const MatrixGroup& group = *from->group;
    const auto count = static_cast<std::int64_t>(matrices.size());
    shares_.push_back({from->owner, static_cast<std::size_t>(from->group - groups().data()),
                       at::tensor(matrices, at::kLong).to(device_.place()),
                       gathered_.narrow(0, from->place, count * group.rows * group.columns)
                           .view({count, group.rows, group.columns})});
  }
}

template <class T>
void DeviceOptimizer<T>::make_factors(const std::vector<Direction>& directions, bool mine) {
  for (const Share& share : shares_) {
    if ((share.owner == spread_.rank) != mine) continue;
    const auto& [matrices, norms] = directions[share.group];
    share.factors.copy_(orthogonalized(matrices.index_select(0, share.matrices),
                                       norms.index_select(0, share.matrices), config_.polar));
  }
}

template <class T>
std::optional<Error> DeviceOptimizer<T>::step_spread(double rate) {
  std::vector<Direction> directions;
  for (const MatrixGroup& group : groups()) directions.push_back(direction_of(group));
  make_factors(directions, true);
  device_.wait();  // what gathers them asks on a stream of its own
  const auto floats = static_cast<std::size_t>(gathered_.nbytes() / sizeof(float));
  std::optional<Error> lost;
  const Result<> gathered =
      spread_.gather({static_cast<float*>(gathered_.data_ptr()), floats}, counts_);
  if (!gathered) {  // the gradient is whole, so this rank can end the step by itself, and saves it
    lost = gathered.error();
    make_factors(directions, false);
  }
  // In the directions' memory, which nobody needs any more.
  for (const Share& share : shares_)
    directions[share.group].matrices.index_copy_(0, share.matrices, share.factors);
  std::int64_t first_row = 0;
  for (std::size_t i = 0; i < directions.size(); ++i) {
    const MatrixGroup& group = groups()[i];
    apply_factors(group, directions[i].matrices, Optimizer::rule_of(config_, group, rate),
                  first_row);
    first_row += group.count * group.rows;
  }
  return lost;
}

template void DeviceOptimizer<float>::spread(Spread);
template void DeviceOptimizer<cuda::Bfloat16>::spread(Spread);
template std::optional<Error> DeviceOptimizer<float>::step_spread(double);
template std::optional<Error> DeviceOptimizer<cuda::Bfloat16>::step_spread(double);

}  // namespace longhaul::trainer
