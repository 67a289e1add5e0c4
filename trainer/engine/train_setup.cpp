#include "trainer/engine/train_setup.hpp"

#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "lib/base/escape.hpp"
#include "trainer/build_ids.hpp"
#include "trainer/checksum.hpp"
#include "trainer/engine/gemm.hpp"
#include "trainer/weights_file.hpp"

namespace longhaul::trainer {
namespace {

tl::unexpected<Error> nonsense(std::string why) {
  return fail(Kind::kUsage, "set up the run", std::move(why));
}

constexpr std::array<ShapeScale, 3> kScales = {ShapeScale::kJordan, ShapeScale::kMoonlight,
                                               ShapeScale::kSpectral};
const char* scale_name(ShapeScale scale) {
  if (scale == ShapeScale::kJordan) return "jordan";
  return scale == ShapeScale::kMoonlight ? "moonlight" : "spectral";
}

bool is_named(const std::string& model) {
  const auto& names = config_names();
  return std::find(names.begin(), names.end(), model) != names.end();
}

std::string cpu_name() {
  const auto text = File::open_to_read("/proc/cpuinfo");
  std::string head(4096, '\0');
  if (!text) return "unknown";
  // /proc files have no size: what fits the buffer is read, and a short read is no failure here.
  static_cast<void>(text->read_at(0, std::as_writable_bytes(std::span(head.data(), head.size()))));
  const auto at = head.find("model name");
  if (at == std::string::npos) return "unknown";
  const auto colon = head.find(':', at);
  return printable(head.substr(colon + 2, head.find('\n', colon) - colon - 2), 100);
}

}  // namespace

Result<> check(const TrainOptions& o, std::uint64_t ranks) {
  if (o.data.empty() == o.dataset.empty())
    return nonsense(o.data.empty() ? "--data is missing, or --dataset" : "--data and --dataset");
  if (o.dataset.empty() != o.store.empty()) return nonsense("--dataset and --store go together");
  if (o.run.empty()) return nonsense("--run is missing");
  if (o.steps == 0 || o.batch == 0 || o.sequence == 0)
    return nonsense("steps, batch or sequence 0");
  if (o.batch % ranks != 0)
    return nonsense(fmt::format("--batch {} is no multiple of {} ranks", o.batch, ranks));
  const std::uint64_t own = o.batch / ranks;
  if (o.micro > own || (o.micro > 0 && own % o.micro != 0))
    return nonsense("a rank's share of --batch is no multiple of --micro");
  if (o.threads == 0 || o.threads > 4096) return nonsense("--threads out of range");
  TRY(check_rules(o));
  if (o.consume && (o.clip > 0 || o.spike > 0 || o.micro > 0 || ranks > 1))
    return nonsense("--consume goes with one rank, and without --clip, --spike and --micro");
  if (o.consume && o.device != "cpu") return nonsense("--consume goes with --device cpu");
  if (ranks > 1 && o.device.starts_with("cuda:"))
    return nonsense("of several ranks each takes its own GPU: --device cuda");
  if (o.grace > 366 * 24 * 3600) return nonsense("--grace is in seconds");
  if (o.keep == 0) return nonsense("--keep 0 would delete what was just written");
  if (o.eval_every > 0 && o.eval_data.empty()) return nonsense("--eval-data is missing");
  if (o.order != "shuffled" && o.order != "upload" && o.order != "arrival")
    return nonsense("--order is shuffled, upload or arrival");
  TRY(parse_schedule(o.schedule));
  TRY(products_of(o));
  return {};
}

Result<ModelConfig> config_of(const TrainOptions& o) {
  ModelConfig config =
      is_named(o.model) ? TRY(named_config(o.model)) : TRY(read_model_config(o.model));
  if (o.load && (is_named(o.model) || o.layers > 0 || o.hidden > 0))
    return nonsense("--load wants a folder, at its own size");
  if (o.layers > 0) config.layers = static_cast<std::int64_t>(o.layers);
  if (o.hidden > 0) {
    const auto hidden = static_cast<std::int64_t>(o.hidden);
    if (hidden % config.head_dim != 0)
      return nonsense("--hidden is no multiple of the head's width");
    config.intermediate = (config.intermediate * hidden / config.hidden + 7) / 8 * 8;
    config.hidden = hidden;
    config.heads = config.kv_heads = hidden / config.head_dim;
  }
  config.max_positions = std::max(config.max_positions, static_cast<std::int64_t>(o.sequence));
  TRY(check(config));
  return config;
}

Result<Products> products_of(const TrainOptions& o) {
  if (o.dtype == "fp32") return Products::kFloat;
  if (o.dtype == "bf16") return Products::kBfloat16;
  return nonsense("--dtype is fp32 or bf16");
}

Result<OptimizerConfig> optimizer_of(const TrainOptions& o) {
  OptimizerConfig config = TRY(optimizer_preset(o.optimizer));
  TRY(check_rules(o));
  if (!o.polar.empty()) config.polar = TRY(parse_polar(o.polar));
  if (!o.rest.empty()) config.rest = o.rest == "sign" ? RestRule::kSign : RestRule::kAdamW;
  if (!o.scale.empty()) {
    const auto known = std::find_if(kScales.begin(), kScales.end(),
                                    [&](ShapeScale scale) { return scale_name(scale) == o.scale; });
    if (known == kScales.end()) return nonsense("--scale is jordan, moonlight or spectral");
    config.scale = *known;
  }
  if (o.nesterov == "yes" || o.nesterov == "no") {
    config.nesterov = o.nesterov == "yes";
  } else if (!o.nesterov.empty()) {
    return nonsense("--nesterov is yes or no");
  }
  if (o.rate > 0) config.rate = o.rate;
  if (o.rest_rate > 0) config.rest_rate = o.rest_rate;
  if (o.momentum >= 0) config.momentum = o.momentum;
  if (o.decay >= 0) config.decay = o.decay;
  if (o.kappa >= 0) config.transported = true;
  if (o.radius > 0) config.radius = o.radius;
  if (o.rest_radius > 0) config.rest_radius = o.rest_radius;
  if (o.beta1 >= 0) config.beta1 = o.beta1;
  if (o.beta2 >= 0) config.beta2 = o.beta2;
  if (o.eps > 0) config.eps = o.eps;
  if (o.row_beta >= 0) config.row_beta = o.row_beta;
  config.constrained = o.constrained;
  config.clip = o.clip;
  config.noise_scale = o.noise;
  config.noise_alpha = o.noise_alpha;
  config.noise_seed = o.seed;
  return config;
}

Result<> start_weights(const TrainOptions& o, const ModelConfig& config, std::span<float> weights) {
  if (o.load) return load_weights(o.model, config, weights);
  draw_weights(config, ParameterLayout(config), o.seed, weights);
  return {};
}

Result<Facts> settings_of(const TrainOptions& o, const OptimizerConfig& rules,
                          const DataSource& data) {
  const auto number = [](auto value) { return fmt::to_string(value); };
  const auto yes = [](bool value) { return std::string(value ? "yes" : "no"); };
  Facts out = {
      {"data", data.identity()},
      {"batch", number(o.batch)},
      {"sequence", number(o.sequence)},
      {"seed", number(o.seed)},
      {"shuffle-window", number(o.window)},
      {"order", o.order},
      {"dtype", o.dtype},
      {"optimizer", o.optimizer},
      {"steps", number(o.steps)},
      {"scale", scale_name(rules.scale)},
      {"rest-rule", rules.rest == RestRule::kSign ? "sign" : "adamw"},
      {"rate", number(rules.rate)},
      {"rest-rate", number(rules.rest_rate)},
      {"momentum", number(rules.momentum)},
      {"nesterov", yes(rules.nesterov)},
      {"polar", rules.polar == PolarMethod::kPolarExpress ? "polar-express" : "newton-schulz"},
      {"transported", yes(rules.transported)},
      {"decay", number(rules.decay)},
      {"beta1", number(rules.beta1)},
      {"beta2", number(rules.beta2)},
      {"eps", number(rules.eps)},
      {"row-beta", number(rules.row_beta)},
      {"radius", number(rules.radius)},
      {"rest-radius", number(rules.rest_radius)},
      {"constrained", yes(rules.constrained)},
      {"kappa", number(rules.transported ? o.kappa_of() : 0)},
      {"clip", number(rules.clip)},
      {"spike", number(o.spike)},
      {"noise", number(rules.noise_scale)},
      {"noise-alpha", number(rules.noise_alpha)},
      {"schedule", o.schedule},
      {"warmup", number(o.warmup)},
      {"cooldown", number(o.cooldown)},
      {"floor", number(o.floor)}};
  const std::string content = TRY(data.content());
  if (!content.empty()) out["data-content"] = content;
  return out;
}

void settle_older(Facts& settings) {
  const auto optimizer = settings.find("optimizer");
  if (optimizer == settings.end()) return;
  const auto rules = optimizer_preset(optimizer->second);
  if (!rules) return;
  const auto scale = settings.find("scale");
  if (scale != settings.end() && scale->second.empty()) scale->second = scale_name(rules->scale);
  // There was no flag for these: they were the preset's, and the state is theirs.
  settings.emplace("transported", rules->transported ? "yes" : "no");
  settings.emplace("rest-rule", rules->rest == RestRule::kSign ? "sign" : "adamw");
}

Facts environment_of(const TrainOptions& o, std::uint64_t ranks, const std::string& device) {
  Facts out = {{"build", fmt::format("longhaul {}, gcc {}, {}", LONGHAUL_VERSION, __VERSION__,
                                     own_build_id())},
               {"libraries", fmt::format("{:016x}", checksum_of(bytes_of(at::show_config())))},
               {"cpu", cpu_name()},
               {"products", gemm_backend(products_of(o).value_or(Products::kFloat))},
               {"device", device},
               {"threads", fmt::to_string(o.threads)},
               {"ranks", fmt::to_string(ranks)},
               {"micro", fmt::to_string(o.micro == 0 ? o.batch / ranks : o.micro)}};
  out.merge(library_ids());
  return out;
}

}  // namespace longhaul::trainer
