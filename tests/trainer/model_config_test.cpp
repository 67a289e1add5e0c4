#include "trainer/model_config.hpp"

#include <gtest/gtest.h>

#include "trainer/json.hpp"

namespace longhaul::trainer {
namespace {

Kind kind_of(std::string_view json) {
  const auto config = parse_hf_config(json);
  return config ? Kind::kExists : config.error().kind();
}

std::string with(std::string_view members) {
  return R"({"model_type": "llama", "vocab_size": 64, "hidden_size": 32, "intermediate_size": 48,
             "num_hidden_layers": 2, "num_attention_heads": 4)" +
         std::string(members) + "}";
}

TEST(ModelConfig, HasTheSizesOfItsSources) {
  // GaLore's suite as counted in its paper, in millions; the 1.4b is that body with 50304 tokens.
  const std::pair<const char*, double> kSizes[] = {{"tiny", 1.07},        {"llama-60m", 58.07},
                                                   {"llama-130m", 134.1}, {"llama-350m", 367.97},
                                                   {"llama-1b", 1339.08}, {"llama-1.4b", 1414.5}};
  for (const auto& [name, millions] : kSizes) {
    const auto config = named_config(name);
    ASSERT_TRUE(config) << name;
    EXPECT_NEAR(static_cast<double>(parameter_count(*config)) / 1e6, millions, millions / 1000)
        << name;
    EXPECT_TRUE(check(*config));
  }
  // GPT-2's smallest has 124.4 M with its positions, which stand in no table here, and biases.
  const ModelConfig small = named_config("llama-124m").value();
  EXPECT_TRUE(small.tied);
  EXPECT_EQ(parameter_count(small), 123'587'328);
  EXPECT_EQ(parameter_count(small), 50304 * 768 + 12 * (4 * 768 * 768 + 3 * 768 * 2048) + 25 * 768);
  EXPECT_EQ(matmul_parameters(small), parameter_count(small));
  EXPECT_EQ(named_config("llama-2t").error().kind(), Kind::kNotFound);
}

TEST(ModelConfig, CountsFlopsByBothConventions) {
  const ModelConfig config = named_config("llama-60m").value();
  EXPECT_NEAR(train_flops_full(config, 1024) / 1e9, 0.300, 0.001);
  EXPECT_NEAR(train_flops_full(config, 256) / 1e9, 0.263, 0.001);
  const double attention = 12.0 * 8 * 512 * 1024;
  EXPECT_EQ(train_flops_full(config, 1024) - train_flops_causal(config, 1024), attention / 2);
}

TEST(ModelConfig, ReadsWhatItWrites) {
  ModelConfig config = named_config("llama-350m").value();
  config.kv_heads = 4;
  config.tied = true;
  config.rope_theta = 500000;
  config.norm_eps = 1e-5;
  const auto read = parse_hf_config(to_hf_config(config, "bfloat16"));
  ASSERT_TRUE(read) << read.error().message();
  EXPECT_EQ(*read, config);
  EXPECT_NE(to_hf_config(config, "bfloat16").find("\"rope_theta\": 500000.0,"), std::string::npos);
  for (const double theta : {10000.25, 0.04, 1e22, 1e-7, 1.0 / 3}) {
    config.rope_theta = theta;
    config.norm_eps = 1 / theta;
    config.init_std = theta / 7;
    const auto again = parse_hf_config(to_hf_config(config, "bfloat16"));
    ASSERT_TRUE(again) << theta << again.error().message();
    EXPECT_EQ(*again, config) << theta;
  }
}

TEST(ModelConfig, ReadsBothSpellingsOfRope) {
  const auto old = parse_hf_config(with(R"(, "rope_theta": 500000.0, "rope_scaling": null)"));
  const auto young = parse_hf_config(
      with(R"(, "rope_parameters": {"rope_type": "default", "rope_theta": 500000.0})"));
  ASSERT_TRUE(old && young);
  EXPECT_EQ(*old, *young);
  EXPECT_EQ(old->rope_theta, 500000.0);
  EXPECT_EQ(old->head_dim, 8);
  EXPECT_EQ(old->kv_heads, 4);
  const auto harmless =
      parse_hf_config(with(R"(, "rope_scaling": {"type": "default", "factor": null},
               "rope_parameters": {"rope_theta": 5e5, "partial_rotary_factor": 1.0})"));
  ASSERT_TRUE(harmless) << harmless.error().message();
  EXPECT_EQ(*harmless, *old);
}

TEST(ModelConfig, RefusesWhatItWouldComputeWrongly) {
  const char* kMembers[] = {
      R"(, "rope_scaling": {"rope_type": "llama3", "factor": 8.0})",
      R"(, "rope_scaling": {"type": "linear", "factor": 2.0})",
      R"(, "rope_scaling": {"type": "default", "factor": 2.0})",
      R"(, "rope_parameters": {"rope_type": "yarn", "rope_theta": 1e4})",
      R"(, "rope_parameters": {"full_attention": {"rope_type": "yarn"}})",
      R"(, "rope_parameters": {"rope_type": "default", "partial_rotary_factor": 0.5})",
      R"(, "rope_scaling": {"original_max_position_embeddings": 8192})",
      R"(, "rope_scaling": {"type": "default", "mscale": 1})",
      R"(, "attention_bias": true)",
      R"(, "mlp_bias": true)",
      R"(, "hidden_act": "gelu")",
      R"(, "partial_rotary_factor": 0.5)",
      R"(, "quantization_config": {"bits": 4})",
  };
  for (const char* members : kMembers)
    EXPECT_EQ(kind_of(with(members)), Kind::kUnsupported) << members;
  EXPECT_EQ(kind_of(R"({"model_type": "mistral"})"), Kind::kUnsupported);
}

TEST(ModelConfig, RefusesNonsense) {
  EXPECT_EQ(kind_of("[]"), Kind::kMalformed);
  EXPECT_EQ(kind_of("{"), Kind::kMalformed);
  EXPECT_EQ(kind_of(R"({"vocab_size": -1})"), Kind::kMalformed);
  EXPECT_EQ(kind_of(R"({"vocab_size": 1e3})"), Kind::kMalformed);
  EXPECT_EQ(kind_of(R"({"vocab_size": 99999999999})"), Kind::kLimit);
  EXPECT_EQ(kind_of(with(R"(, "num_key_value_heads": 3)")), Kind::kUsage);
  EXPECT_EQ(kind_of(with(R"(, "num_key_value_heads": 0)")), Kind::kUsage);
  EXPECT_EQ(kind_of(with(R"(, "head_dim": 7)")), Kind::kUsage);
  EXPECT_EQ(kind_of(with(R"(, "rope_theta": "x")")), Kind::kMalformed);
  EXPECT_EQ(kind_of(with(R"(, "rope_parameters": 3)")), Kind::kMalformed);
}

TEST(Json, ResolvesEscapesAndKeepsNumbersExact) {
  const auto json = Json::parse(R"({"a":"x\n\u00e9\ud83d\ude00\"","b":18446744073709551615})");
  ASSERT_TRUE(json) << json.error().message();
  EXPECT_EQ(json->at("a").text(), "x\n\xc3\xa9\xf0\x9f\x98\x80\"");
  EXPECT_EQ(json->at("b").unsigned_number().value(), 18446744073709551615U);
  EXPECT_FALSE(json->at("c").present());
  EXPECT_EQ(Json::parse(json_quoted("a\"\n\\"))->text(), "a\"\n\\");
}

TEST(Json, RefusesWhatIsNoJson) {
  for (const char* text : {"", "{", "[1,]", "{\"a\":1,}", "01", "-", "1.", "1e", "\"\\x\"",
                           "\"\\ud800\"", "\"a\nb\"", "{\"a\":1,\"a\":2}", "nul", "1 2", "'a'"})
    EXPECT_FALSE(Json::parse(text)) << text;
  EXPECT_EQ(Json::parse(std::string(100, '[')).error().kind(), Kind::kLimit);
}

}  // namespace
}  // namespace longhaul::trainer
