#include "trainer/weights_file.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <numeric>

#include "tests/trainer/temporary_folder.hpp"
#include "trainer/safetensors_file.hpp"

namespace longhaul::trainer {
namespace {

ModelConfig small() {
  ModelConfig config = named_config("tiny").value();
  config.vocab = 11;
  config.layers = 2;
  config.hidden = 8;
  config.intermediate = 12;
  config.heads = 2;
  config.kv_heads = 1;
  config.head_dim = 4;
  return config;
}
std::vector<float> counted(const ModelConfig& config) {  // exact in bf16 too
  std::vector<float> out(static_cast<std::size_t>(ParameterLayout(config).size()));
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = static_cast<float>(i % 251) - 100;
  return out;
}
std::string bytes_in(const Path& path) {
  return read_text(path, 1 << 30).value();
}
void put(const Path& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

TEST(ParameterLayout, CoversTheBufferWithoutOverlap) {
  for (const bool tied : {false, true}) {
    ModelConfig config = small();
    config.tied = tied;
    const ParameterLayout layout(config);
    EXPECT_EQ(layout.size(), parameter_count(config));
    std::vector<int> covered(static_cast<std::size_t>(layout.size()));
    std::int64_t matrices = 0;
    for (const Parameter& parameter : layout.all()) {
      for (std::int64_t i = 0; i < parameter.count(); ++i)
        ++covered[static_cast<std::size_t>(parameter.offset + i)];
      if (parameter.role == Role::kMatrix) matrices += parameter.count();
    }
    EXPECT_EQ(std::count(covered.begin(), covered.end(), 1), layout.size());
    EXPECT_EQ(matrices, layout.matrix_size());
    for (const MatrixGroup& group : layout.groups())
      for (std::int64_t k = 0; k < group.count; ++k)
        for (std::int64_t i = 0; i < group.rows * group.columns; ++i)
          ++covered[static_cast<std::size_t>(group.offset + k * group.stride + i)];
    EXPECT_EQ(std::count(covered.begin(), covered.end(), 2), layout.matrix_size());
  }
}

TEST(WeightsFile, RoundTripsInOneFileAndInMany) {
  for (const std::uint64_t shard_bytes : {std::uint64_t{1} << 30, std::uint64_t{600}}) {
    for (const char* dtype : {"F32", "BF16"}) {
      const TemporaryFolder folder;
      const ModelConfig config = small();
      const std::vector<float> weights = counted(config);
      ASSERT_TRUE(save_weights(folder.path(), config, weights, {dtype, shard_bytes}));
      EXPECT_EQ(std::filesystem::exists(folder.path() / "model.safetensors.index.json"),
                shard_bytes == 600);
      const auto read = read_model_config(folder.path());
      ASSERT_TRUE(read) << read.error().message();
      EXPECT_EQ(*read, config);
      std::vector<float> loaded(weights.size());
      const auto result = load_weights(folder.path(), *read, loaded);
      ASSERT_TRUE(result) << result.error().message();
      EXPECT_EQ(loaded, weights);
    }
  }
}

TEST(WeightsFile, OfAnotherModelIsRefused) {
  const TemporaryFolder folder;
  const ModelConfig config = small();
  ASSERT_TRUE(save_weights(folder.path(), config, counted(config), {}));
  const auto kind = [&](ModelConfig other) {
    std::vector<float> out(static_cast<std::size_t>(ParameterLayout(other).size()));
    const auto loaded = load_weights(folder.path(), other, out);
    return loaded ? Kind::kExists : loaded.error().kind();
  };
  ModelConfig other = config;
  other.layers = 3;  // tensors missing
  EXPECT_EQ(kind(other), Kind::kMalformed);
  other.layers = 1;  // tensors left over
  EXPECT_EQ(kind(other), Kind::kMalformed);
  other = config;
  other.intermediate = 13;
  EXPECT_EQ(kind(other), Kind::kMalformed);
  other = config;
  other.tied = true;  // the head is there and means nothing
  EXPECT_EQ(kind(other), Kind::kExists);
}

TEST(WeightsFile, HostileFilesAreRefused) {
  const TemporaryFolder folder;
  const ModelConfig config = small();
  ASSERT_TRUE(save_weights(folder.path(), config, counted(config), {"F32", 1U << 30}));
  const Path path = folder.path() / "model.safetensors";
  const std::string good = bytes_in(path);
  std::vector<float> out(counted(config).size());
  const auto refused = [&](const std::string& bytes) {
    put(path, bytes);
    return !load_weights(folder.path(), config, out);
  };
  EXPECT_FALSE(refused(good));
  for (const std::size_t size : {0U, 7U, 8U, 100U}) EXPECT_TRUE(refused(good.substr(0, size)));
  EXPECT_TRUE(refused(good.substr(0, good.size() - 1)));
  EXPECT_TRUE(refused(good + "x"));
  EXPECT_TRUE(refused(std::string(8, '\x7f') + good.substr(8)));  // a header of 2^63 bytes
  const auto with = [&](const std::string& from, const std::string& to) {
    std::string bytes = good;
    bytes.replace(bytes.find(from), from.size(), to);
    return bytes;
  };
  EXPECT_TRUE(refused(with("\"F32\"", "\"I32\"")));
  EXPECT_TRUE(refused(with("[0,", "[4,")));
  EXPECT_TRUE(refused(with("[4,8]", "[8,4]")));
  EXPECT_TRUE(refused(with("q_proj", "x_proj")));
}

TEST(WeightsFile, AnIndexMayNotLeaveItsFolder) {
  const TemporaryFolder folder;
  const ModelConfig config = small();
  std::vector<float> out(counted(config).size());
  for (const char* name : {"../model.safetensors", "/etc/passwd", "..", ""}) {
    put(folder.path() / "model.safetensors.index.json",
        std::string(R"({"weight_map": {"a": ")") + name + "\"}}");
    EXPECT_EQ(load_weights(folder.path(), config, out).error().kind(), Kind::kMalformed) << name;
  }
}

TEST(HalfFloats, RoundToTheNearestAndKeepTheirOwn) {
  EXPECT_EQ(to_bf16(1.0F), 0x3f80);
  EXPECT_EQ(to_bf16(1.00390625F), 0x3f80);  // half-way: to the even one
  EXPECT_EQ(to_bf16(1.01171875F), 0x3f82);
  EXPECT_TRUE(std::isnan(from_bf16(to_bf16(std::nanf("")))));
  for (std::uint32_t bits = 0; bits < 0x7f80; ++bits)
    EXPECT_EQ(to_bf16(from_bf16(static_cast<std::uint16_t>(bits))), bits);
  EXPECT_EQ(from_f16(0x3c00), 1.0F);
  EXPECT_EQ(from_f16(0xc000), -2.0F);
  EXPECT_EQ(from_f16(0x0001), 0x1p-24F);
  EXPECT_EQ(from_f16(0x7bff), 65504.0F);
  EXPECT_TRUE(std::isinf(from_f16(0x7c00)));
}

}  // namespace
}  // namespace longhaul::trainer
