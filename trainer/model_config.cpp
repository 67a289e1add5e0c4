#include "trainer/model_config.hpp"

#include <fmt/format.h>

#include <utility>

#include "lib/base/escape.hpp"
#include "trainer/json.hpp"

namespace longhaul::trainer {
namespace {

constexpr const char* kAttempt = "read config.json";
constexpr std::int64_t kMaxVocab = 1 << 22;
constexpr std::int64_t kMaxWidth = 1 << 17;
constexpr std::int64_t kMaxLayers = 1024;
constexpr std::int64_t kMaxPositions = 1 << 24;

struct Named {
  std::string_view name;
  ModelConfig config;
};

ModelConfig sized(std::int64_t vocab, std::int64_t hidden, std::int64_t intermediate,
                  std::int64_t layers, std::int64_t heads) {
  ModelConfig config;
  config.vocab = vocab;
  config.hidden = hidden;
  config.intermediate = intermediate;
  config.layers = layers;
  config.heads = config.kv_heads = heads;
  config.head_dim = hidden / heads;
  return config;
}

ModelConfig tied(ModelConfig config) {
  config.tied = true;
  return config;
}

const std::vector<Named>& table() {
  static const std::vector<Named> kTable = {
      {"tiny", sized(256, 128, 352, 5, 4)},
      {"llama-60m", sized(32000, 512, 1376, 8, 8)},
      {"llama-124m", tied(sized(50304, 768, 2048, 12, 12))},
      {"llama-130m", sized(32000, 768, 2048, 12, 12)},
      {"llama-350m", sized(32000, 1024, 2736, 24, 16)},
      {"llama-1b", sized(32000, 2048, 5461, 24, 32)},
      {"llama-1.4b", sized(50304, 2048, 5464, 24, 32)},
  };
  return kTable;
}

tl::unexpected<Error> unsupported(std::string why) {
  return fail(Kind::kUnsupported, kAttempt, std::move(why));
}

Result<> read_size(const Json& json, std::string_view key, std::int64_t max, std::int64_t& out) {
  const auto value = json.at(key).unsigned_number();
  if (!value) return fail(Kind::kMalformed, kAttempt, fmt::format("{}: no whole number", key));
  if (*value > static_cast<std::uint64_t>(max))
    return fail(Kind::kLimit, kAttempt, fmt::format("{}: over {}", key, max));
  out = static_cast<std::int64_t>(*value);
  return {};
}

Result<> read_real(const Json& json, std::string_view key, double& out) {
  if (!json.at(key).present()) return {};
  const auto value = json.at(key).number();
  if (!value || *value <= 0)
    return fail(Kind::kMalformed, kAttempt, fmt::format("{}: no number above 0", key));
  out = *value;
  return {};
}

Result<> refuse_flag(const Json& json, std::string_view key) {
  if (!json.at(key).present()) return {};
  const auto flag = json.at(key).flag();
  if (!flag || flag->value) return unsupported(fmt::format("{} other than false", key));
  return {};
}

Result<> refuse_partial_rotation(const Json& json) {
  double rotated = 1;
  TRY(read_real(json, "partial_rotary_factor", rotated));
  if (rotated != 1) return unsupported("partial_rotary_factor other than 1");
  return {};
}

// What the default type may carry. Any other member is another type's, or a set of parameters for
// each kind of layer, whatever it is called.
Result<> check_rope(const Json& rope, std::string_view where) {
  for (const auto& [key, value] : rope.members()) {
    if (!value.present() || key == "rope_theta" || key == "partial_rotary_factor") continue;
    if (key != "rope_type" && key != "type")
      return unsupported(fmt::format("{} with \"{}\"", where, printable(key, 64)));
    const std::string type = TRY(value.string());
    if (type != "default")
      return unsupported(fmt::format("{} of type \"{}\"", where, printable(type, 64)));
  }
  return refuse_partial_rotation(rope);
}

// Older files: "rope_theta", "rope_scaling": null. Newer: "rope_parameters".
Result<> read_rope(const Json& json, ModelConfig& config) {
  TRY(read_real(json, "rope_theta", config.rope_theta));
  for (const std::string_view key : {"rope_scaling", "rope_parameters"}) {
    const Json& rope = json.at(key);
    if (!rope.present()) continue;
    if (!rope.is(Json::Type::kObject))
      return fail(Kind::kMalformed, kAttempt, fmt::format("{}: no object", key));
    TRY(check_rope(rope, key));
    TRY(read_real(rope, "rope_theta", config.rope_theta));
  }
  return refuse_partial_rotation(json);
}

Result<> check_architecture(const Json& json) {
  if (json.at("model_type").present() && json.at("model_type").text() != "llama")
    return unsupported(
        fmt::format("model_type \"{}\"", printable(json.at("model_type").text(), 64)));
  if (json.at("hidden_act").present() && json.at("hidden_act").text() != "silu")
    return unsupported(
        fmt::format("hidden_act \"{}\"", printable(json.at("hidden_act").text(), 64)));
  TRY(refuse_flag(json, "attention_bias"));
  TRY(refuse_flag(json, "mlp_bias"));
  if (json.at("quantization_config").present()) return unsupported("quantised weights");
  return {};
}

// The shortest text that reads back as the same number; transformers wants no whole number there.
std::string real_text(double value) {
  std::string text = fmt::to_string(value);
  if (text.find_first_of(".e") == std::string::npos) text += ".0";
  return text;
}

}  // namespace

Result<ModelConfig> named_config(std::string_view name) {
  for (const Named& entry : table())
    if (entry.name == name) return entry.config;
  std::string known;
  for (const Named& entry : table()) known += fmt::format(" {}", entry.name);
  return fail(Error(Kind::kNotFound, fmt::format("find the model \"{}\"", printable(name, 64)),
                    "there is:" + known)
                  .advise("name one of these, or a Hugging Face folder"));
}

const std::vector<std::string_view>& config_names() {
  static const std::vector<std::string_view> kNames = [] {
    std::vector<std::string_view> names;
    for (const Named& entry : table()) names.push_back(entry.name);
    return names;
  }();
  return kNames;
}

Result<> check(const ModelConfig& c) {
  const auto refuse = [](std::string why) {
    return fail(Kind::kUsage, "build the model", std::move(why));
  };
  const auto within = [](std::int64_t value, std::int64_t max) {
    return value >= 1 && value <= max;
  };
  if (!within(c.vocab, kMaxVocab)) return refuse("vocabulary out of range");
  if (!within(c.hidden, kMaxWidth)) return refuse("hidden size out of range");
  if (!within(c.intermediate, kMaxWidth)) return refuse("intermediate size out of range");
  if (!within(c.layers, kMaxLayers)) return refuse("number of layers out of range");
  if (!within(c.heads, kMaxWidth) || !within(c.head_dim, kMaxWidth) || c.query_width() > kMaxWidth)
    return refuse("heads out of range");
  if (!within(c.kv_heads, c.heads) || c.heads % c.kv_heads != 0)
    return refuse("the number of heads is no multiple of the number of key-value heads");
  if (c.head_dim % 2 != 0) return refuse("RoPE needs an even head dimension");
  if (!within(c.max_positions, kMaxPositions)) return refuse("positions out of range");
  return {};
}

Result<ModelConfig> parse_hf_config(std::string_view text) {
  const Json json = TRY(Json::parse(text));
  if (!json.is(Json::Type::kObject)) return fail(Kind::kMalformed, kAttempt, "no object");
  TRY(check_architecture(json));
  ModelConfig config;
  TRY(read_size(json, "vocab_size", kMaxVocab, config.vocab));
  TRY(read_size(json, "hidden_size", kMaxWidth, config.hidden));
  TRY(read_size(json, "intermediate_size", kMaxWidth, config.intermediate));
  TRY(read_size(json, "num_hidden_layers", kMaxLayers, config.layers));
  TRY(read_size(json, "num_attention_heads", kMaxWidth, config.heads));
  config.kv_heads = config.heads;
  if (json.at("num_key_value_heads").present())
    TRY(read_size(json, "num_key_value_heads", kMaxWidth, config.kv_heads));
  if (json.at("head_dim").present()) {
    TRY(read_size(json, "head_dim", kMaxWidth, config.head_dim));
  } else {
    if (config.heads == 0 || config.hidden % config.heads != 0)
      return fail(Kind::kMalformed, kAttempt, "hidden_size is no multiple of the heads");
    config.head_dim = config.hidden / config.heads;
  }
  if (json.at("max_position_embeddings").present())
    TRY(read_size(json, "max_position_embeddings", kMaxPositions, config.max_positions));
  TRY(read_real(json, "rms_norm_eps", config.norm_eps));
  TRY(read_real(json, "initializer_range", config.init_std));
  TRY(read_rope(json, config));
  if (json.at("tie_word_embeddings").present())
    config.tied = TRY(json.at("tie_word_embeddings").flag()).value;
  TRY(check(config));
  return config;
}

std::string to_hf_config(const ModelConfig& c, std::string_view dtype) {
  // "rope_theta" at the top is read by every release of transformers; newer ones convert it.
  return fmt::format(R"({{
  "architectures": ["LlamaForCausalLM"],
  "attention_bias": false,
  "head_dim": {},
  "hidden_act": "silu",
  "hidden_size": {},
  "initializer_range": {},
  "intermediate_size": {},
  "max_position_embeddings": {},
  "mlp_bias": false,
  "model_type": "llama",
  "num_attention_heads": {},
  "num_hidden_layers": {},
  "num_key_value_heads": {},
  "rms_norm_eps": {},
  "rope_scaling": null,
  "rope_theta": {},
  "tie_word_embeddings": {},
  "torch_dtype": "{}",
  "vocab_size": {}
}}
)",
                     c.head_dim, c.hidden, real_text(c.init_std), c.intermediate, c.max_positions,
                     c.heads, c.layers, c.kv_heads, real_text(c.norm_eps), real_text(c.rope_theta),
                     c.tied, dtype, c.vocab);
}

std::int64_t matmul_parameters(const ModelConfig& c) {
  const std::int64_t attention = c.hidden * (2 * c.query_width() + 2 * c.kv_width());
  const std::int64_t mlp = 3 * c.hidden * c.intermediate;
  const std::int64_t norms = 2 * c.hidden;
  return c.layers * (attention + mlp + norms) + c.hidden + c.vocab * c.hidden;
}

std::int64_t parameter_count(const ModelConfig& c) {
  return matmul_parameters(c) + (c.tied ? 0 : c.vocab * c.hidden);
}

double train_flops_full(const ModelConfig& c, std::int64_t sequence) {
  return 6.0 * static_cast<double>(matmul_parameters(c)) +
         12.0 * static_cast<double>(c.layers * c.query_width() * sequence);
}

double train_flops_causal(const ModelConfig& c, std::int64_t sequence) {
  return 6.0 * static_cast<double>(matmul_parameters(c)) +
         6.0 * static_cast<double>(c.layers * c.query_width() * sequence);
}

}  // namespace longhaul::trainer
