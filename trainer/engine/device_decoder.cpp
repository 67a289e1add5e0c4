#include "trainer/engine/device_decoder.hpp"

#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <bit>
#include <cmath>

#include "trainer/cuda/layers.hpp"
#include "trainer/cuda/norm.hpp"
#include "trainer/cuda/paged.hpp"
#include "trainer/engine/device_elements.hpp"
#include "trainer/engine/within_memory.hpp"
#include "trainer/kernels.hpp"
#include "trainer/serving/row_products.hpp"

namespace longhaul::trainer {
namespace {

enum Part : std::int64_t { kTokens, kPositions, kTables, kPicks, kBlocks };

std::int64_t gain_count(const ModelConfig& config) {
  return (2 * config.layers + 1) * config.hidden;
}

}  // namespace

template <class T>
DeviceDecoder<T>::Pass::Pass(const DeviceDecoder& of, bool takes_made)
    : made(takes_made),
      rows(takes_made ? of.options_.most_made : of.options_.most_rows),
      replay(of.device_, of.records_) {
  const std::int64_t most = of.options_.most_made;
  const at::Device place = of.device_.place();
  const auto pinned = [&](at::ScalarType type) {
    return at::TensorOptions(type).pinned_memory(!place.is_cpu());
  };
  here = at::zeros({3 * rows + most + of.options_.pool_blocks}, pinned(at::kInt));
  there = here.to(place, /*non_blocking=*/false, /*copy=*/true);
  normed = of.empty(rows, of.config_.hidden);
  ids = at::zeros({most}, at::TensorOptions(at::kLong).device(place));
  ids_here = at::zeros({most}, pinned(at::kLong));
}

template <class T>
std::int32_t* DeviceDecoder<T>::Pass::part(std::int64_t which) const {
  const std::int64_t first = which == kBlocks ? 3 * rows + ids.size(0) : which * rows;
  return here.data_ptr<std::int32_t>() + first;
}
template <class T>
at::Tensor DeviceDecoder<T>::Pass::part_there(std::int64_t which, std::int64_t count) const {
  return there.narrow(0, part(which) - here.data_ptr<std::int32_t>(), count);
}

template <class T>
DeviceDecoder<T>::DeviceDecoder(const ModelConfig& config, const at::Tensor& weights,
                                const DeviceDecoding& how, const DecoderOptions& options)
    : config_(config),
      layout_(config),
      device_(how.device),
      options_(options),
      name_(how.device.place().is_cpu() ? "cpu-device" : how.device.name()),
      records_(how.records),
      library_(how.library || !how.device.place().is_cpu()),
      block_bits_(std::countr_zero(static_cast<std::uint64_t>(options.block_tokens))) {
  ASSERT(std::has_single_bit(static_cast<std::uint64_t>(options.block_tokens)));
  const at::NoGradGuard no_grad;
  load(weights);
  const std::int64_t blocks = config_.layers * options.pool_blocks;
  pool_ = empty(blocks, 2 * config_.kv_width() * options.block_tokens);
  at::Tensor cosines = at::empty({config_.max_positions, config_.head_dim / 2}, at::kFloat),
             sines = at::empty_like(cosines);
  kernels::rope_table(data_of<float>(cosines), data_of<float>(sines), config_.max_positions,
                      config_.head_dim, config_.rope_theta);
  cosines_ = cosines.to(device_.place());
  sines_ = sines.to(device_.place());
  passes_ = {std::make_unique<Pass>(*this, true), std::make_unique<Pass>(*this, false)};
}

// By pieces: fp32 on the way to bf16 lies on the device for a moment.
template <class T>
void DeviceDecoder<T>::load(const at::Tensor& weights) {
  ASSERT(weights.numel() == layout_.size());
  constexpr std::int64_t kPiece = 64 << 20;
  const std::int64_t first_gain = layout_.attention_norm(0);
  weights_ = empty(1, first_gain).view({first_gain});
  for (std::int64_t first = 0; first < first_gain; first += kPiece) {
    const std::int64_t count = std::min(kPiece, first_gain - first);
    weights_.narrow(0, first, count).copy_(weights.narrow(0, first, count));
  }
  gains_ = weights.narrow(0, first_gain, gain_count(config_)).to(device_.place(), false, true);
}

template <class T>
at::Tensor DeviceDecoder<T>::empty(std::int64_t rows, std::int64_t columns) const {
  return at::empty({rows, columns}, at::TensorOptions(kElementType<T>).device(device_.place()));
}
template <class T>
at::Tensor DeviceDecoder<T>::matrix(std::int64_t offset, std::int64_t rows,
                                    std::int64_t columns) const {
  return weights_.narrow(0, offset, rows * columns).view({rows, columns});
}
template <class T>
const float* DeviceDecoder<T>::gain(std::int64_t offset) const {
  return data_of<float>(gains_) + (offset - layout_.attention_norm(0));
}

// stream += added, where there is any; normed is the stream's.
template <class T>
void DeviceDecoder<T>::norm(const at::Tensor& stream, const at::Tensor& added,
                            std::int64_t gain_offset, const at::Tensor& rstd,
                            const at::Tensor& normed) const {
  device_.go(cuda::RmsNorm<T>{data_of<T>(stream), added.defined() ? data_of<T>(added) : nullptr,
                              data_of<T>(stream), gain(gain_offset), data_of<T>(normed),
                              data_of<float>(rstd), stream.size(0), stream.size(1),
                              static_cast<float>(config_.norm_eps)});
}

// x [rows, width] by the rows of w [columns, width]: [rows, columns].
template <class T>
at::Tensor DeviceDecoder<T>::product(const at::Tensor& x, const at::Tensor& w) const {
  if (library_) return at::mm(x, w.t());
  const at::Tensor a = x.to(at::kFloat), b = w.to(at::kFloat),
                   out = at::empty({x.size(0), w.size(0)}, at::kFloat);
  const RowProducts work{data_of<float>(a), data_of<float>(b), data_of<float>(out),
                         x.size(0),         x.size(1),         w.size(0)};
  at::parallel_for(0, w.size(0), 64, [&](std::int64_t begin, std::int64_t end) {
    row_products(work, begin, end - begin);
  });
  return out.to(kElementType<T>);
}

template <class T>
at::Tensor DeviceDecoder<T>::attend(const Pass& pass, std::int64_t layer,
                                    const at::Tensor& normed) const {
  const std::int64_t d = config_.hidden, q = config_.query_width(), w = q + 2 * config_.kv_width();
  const at::Tensor qkv = product(normed, matrix(layout_.qkv(layer), w, d));
  const auto there = [&](std::int64_t part) {
    return pass.there.template data_ptr<std::int32_t>() + (pass.part(part) - pass.part(kTokens));
  };
  const cuda::PagedRows at{there(kPositions), there(kTables), there(kBlocks)};
  const std::int64_t in_layer = options_.pool_blocks * pool_.size(1);
  const cuda::PagedPool<T> pool{data_of<T>(pool_) + layer * in_layer, block_bits_,
                                static_cast<int>(config_.kv_heads),
                                static_cast<int>(config_.head_dim)};
  const auto heads = static_cast<int>(config_.heads);
  device_.go(cuda::RopeAndKeep<T>{data_of<T>(qkv), data_of<float>(cosines_), data_of<float>(sines_),
                                  at, pool, pass.rows, w, heads});
  const at::Tensor attended = empty(pass.rows, q);
  const auto scale = static_cast<float>(1 / std::sqrt(static_cast<double>(config_.head_dim)));
  device_.go(cuda::PagedAttention<T>{data_of<T>(qkv), data_of<T>(attended), at, pool, pass.rows, w,
                                     heads, scale});
  return product(attended, matrix(layout_.out(layer), d, q));
}

template <class T>
at::Tensor DeviceDecoder<T>::mlp(std::int64_t layer, const at::Tensor& normed) const {
  const std::int64_t d = config_.hidden, f = config_.intermediate, rows = normed.size(0);
  const at::Tensor gate_up = product(normed, matrix(layout_.gate_up(layer), 2 * f, d));
  const at::Tensor wide = empty(rows, f);
  device_.go(cuda::Swiglu<T>{data_of<T>(gate_up), data_of<T>(wide), rows, f});
  return product(wide, matrix(layout_.down(layer), d, f));
}

// All that a pass asks the device for. Reads pass.there; writes the pool, logits and ids. Of a
// recording the logits are its own, in the same place each time.
template <class T>
void DeviceDecoder<T>::launches(Pass& pass) const {
  const std::int64_t d = config_.hidden, v = config_.vocab, most = options_.most_made;
  const at::Tensor stream =
      matrix(layout_.embedding(), v, d).index_select(0, pass.part_there(kTokens, pass.rows));
  const at::Tensor rstd = at::empty({pass.rows}, gains_.options());
  const at::Tensor& normed = pass.normed;
  at::Tensor added;  // what the next norm adds to the stream
  for (std::int64_t l = 0; l < config_.layers; ++l) {
    norm(stream, added, layout_.attention_norm(l), rstd, normed);
    added = attend(pass, l, normed);
    norm(stream, added, layout_.mlp_norm(l), rstd, normed);
    added = mlp(l, normed);
  }
  norm(stream, added, layout_.final_norm(), rstd, normed);
  const at::Tensor picked = normed.index_select(0, pass.part_there(kPicks, most));
  pass.logits = product(picked, matrix(layout_.head(), v, d));
  at::argmax_out(pass.ids, pass.logits, 1);
}

// Whether the pass has any row.
template <class T>
bool DeviceDecoder<T>::fill(Pass& pass, std::span<const DecodeRow> rows) const {
  std::int64_t count = 0, tables = 0;
  const std::uint32_t* last = nullptr;  // rows of one request stand side by side
  std::int32_t table = 0;
  pass.making = 0;
  for (const DecodeRow& row : rows) {
    if (row.made != pass.made) continue;
    ASSERT(count < pass.rows && row.token >= 0 && row.token < config_.vocab);
    ASSERT(row.position >= 0 && row.position < config_.max_positions);
    if (row.blocks.data() != last) {
      const auto size = static_cast<std::int64_t>(row.blocks.size());
      ASSERT(tables + size <= options_.pool_blocks);
      last = row.blocks.data();
      table = static_cast<std::int32_t>(tables);
      std::copy(row.blocks.begin(), row.blocks.end(), pass.part(kBlocks) + tables);
      tables += size;
    }
    ASSERT(row.position / options_.block_tokens < static_cast<std::int64_t>(row.blocks.size()));
    pass.part(kTokens)[count] = static_cast<std::int32_t>(row.token);
    pass.part(kPositions)[count] = static_cast<std::int32_t>(row.position);
    pass.part(kTables)[count] = table;
    if (row.makes) {
      ASSERT(pass.making < options_.most_made);
      pass.part(kPicks)[pass.making++] = static_cast<std::int32_t>(count);
    }
    ++count;
  }
  for (std::int64_t r = count; r < pass.rows; ++r) {  // nobody's
    pass.part(kTokens)[r] = 0;
    pass.part(kPositions)[r] = -1;
  }
  std::fill_n(pass.part(kPicks) + pass.making, options_.most_made - pass.making, 0);
  return count > 0;
}

template <class T>
void DeviceDecoder<T>::run(std::span<const DecodeRow> rows) {
  const at::NoGradGuard no_grad;
  order_.clear();
  for (const DecodeRow& row : rows)
    if (row.makes) order_.emplace_back(row.made ? 0 : 1, 0);
  for (const auto& pass : passes_) {
    if (!fill(*pass, rows)) continue;
    pass->there.copy_(pass->here, /*non_blocking=*/true);
    pass->replay.go([&] { launches(*pass); });
    pass->ids_here.copy_(pass->ids, /*non_blocking=*/true);
  }
  device_.wait();
  std::array<std::int64_t, 2> taken{};
  best_.clear();
  for (auto& [pass, place] : order_) {
    place = taken[pass]++;
    best_.push_back(passes_[pass]->ids_here.template data_ptr<std::int64_t>()[place]);
  }
}

template <class T>
at::Tensor DeviceDecoder<T>::logits() const {
  at::Tensor out = at::empty({static_cast<std::int64_t>(order_.size()), config_.vocab}, at::kFloat);
  for (std::size_t i = 0; i < order_.size(); ++i)
    out[static_cast<std::int64_t>(i)].copy_(passes_[order_[i].first]->logits[order_[i].second]);
  return out;
}

template <class T>
std::int64_t DeviceDecoder<T>::bytes_of_token(std::int64_t position) const {
  const auto size = static_cast<std::int64_t>(sizeof(T));
  const std::int64_t gains = gain_count(config_);
  return size * (matmul_parameters(config_) - gains) + 4 * gains +
         size * config_.layers * 2 * config_.kv_width() * (position + 1);
}

template <class T>
double DeviceDecoder<T>::bytes_wanted(const ModelConfig& config, const DecoderOptions& options) {
  const auto rows = static_cast<double>(options.most_rows + options.most_made);
  const auto kept = static_cast<double>(2 * config.layers * config.kv_width());
  const auto widths = static_cast<double>(4 * config.hidden + 2 * config.query_width() +
                                          2 * config.kv_width() + 3 * config.intermediate);
  const double elements = static_cast<double>(parameter_count(config)) +
                          kept * static_cast<double>(options.pool_blocks * options.block_tokens) +
                          rows * widths + 2 * static_cast<double>(options.most_made * config.vocab);
  return static_cast<double>(sizeof(T)) * elements +
         4 * static_cast<double>(config.max_positions * config.head_dim);
}

template class DeviceDecoder<float>;
template class DeviceDecoder<cuda::Bfloat16>;

namespace {

template <class T>
Result<std::unique_ptr<Decoder>> make(const ModelConfig& config, const at::Tensor& weights,
                                      const DeviceDecoding& how, const DecoderOptions& options) {
  TRY(has_room(how.device.name(), DeviceDecoder<T>::bytes_wanted(config, options),
               how.device.free_bytes()));
  return std::unique_ptr<Decoder>(
      std::make_unique<DeviceDecoder<T>>(config, weights, how, options));
}

}  // namespace

Result<std::unique_ptr<Decoder>> device_decoder(const ModelConfig& config,
                                                const at::Tensor& weights,
                                                const DeviceDecoding& how,
                                                const DecoderOptions& options) {
  return how.bf16 ? make<cuda::Bfloat16>(config, weights, how, options)
                  : make<float>(config, weights, how, options);
}

}  // namespace longhaul::trainer
