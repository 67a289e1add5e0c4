// What people read when the trainer's parts are asked for what makes no sense: the reason as it
// stands.
#include <gtest/gtest.h>

#include <fstream>

#include "tests/trainer/temporary_folder.hpp"
#include "trainer/control.hpp"
#include "trainer/folder_source.hpp"
#include "trainer/json.hpp"
#include "trainer/model_config.hpp"
#include "trainer/options.hpp"
#include "trainer/posix_file.hpp"
#include "trainer/sample_order.hpp"
#include "trainer/schedule.hpp"
#include "trainer/sentencepiece.hpp"
#include "trainer/shard.hpp"
#include "trainer/tokenizer.hpp"

namespace longhaul::trainer {
namespace {

template <class T>
std::string why_not(const Result<T>& result) {
  return result ? "it was taken" : result.error().why();
}
template <class T>
std::string advice_of(const Result<T>& result) {
  return result ? "it was taken" : result.error().advice();
}

TEST(Refusals, OfSettings) {
  using Verb = Command::Verb;
  Settings settings;
  const auto set = [&](const char* key, double value) {
    Command command;
    command.verb = Verb::kSet;
    command.key = key;
    command.value = value;
    return settings.change(command);
  };
  EXPECT_EQ(why_not(set("seed", 1)), "there is lr, rest_lr, clip and kappa");
  EXPECT_EQ(why_not(set("lr", -1)), "it is a number, 0 or more");
  EXPECT_EQ(why_not(parse_schedule("cosin")), "there is: constant, cosine, linear, wsd");
}

TEST(Refusals, OfFlags) {
  std::uint64_t steps = 0;
  Options options;
  options.add("steps", steps, "how many");
  const auto parsed = options.parse(std::vector<std::string>{"--stepps", "3"});
  EXPECT_EQ(why_not(parsed), "unknown flag --stepps");
  EXPECT_EQ(advice_of(parsed), "see --help");
}

TEST(Refusals, OfJson) {
  EXPECT_EQ(why_not(Json::parse(std::string(kMaxJsonDepth + 2, '['))), "nested too deeply");
  std::string many = "[";
  for (std::size_t i = 0; i < kMaxJsonValues; ++i) many += "1,";
  EXPECT_EQ(why_not(Json::parse(many + "1]")), "too many values");
  const Json json = Json::parse(R"({"a": []})").value();
  EXPECT_EQ(why_not(json.at("a").number()), "a number is missing");
  EXPECT_EQ(why_not(json.at("a").string()), "a string is missing");
  EXPECT_EQ(why_not(json.at("a").flag()), "true or false is missing");
}

TEST(Refusals, OfAConfigFile) {
  const std::string sizes =
      R"({"vocab_size": 256, "hidden_size": 100, "intermediate_size": 8, "num_hidden_layers": 1)";
  const auto parsed = [&](const std::string& more) {
    return why_not(parse_hf_config(sizes + more + "}"));
  };
  const std::string heads = R"(, "num_attention_heads": 3)";
  EXPECT_EQ(why_not(parse_hf_config("[]")), "no object");
  EXPECT_EQ(parsed(heads), "hidden_size is no multiple of the heads");
  EXPECT_EQ(parsed(heads + R"(, "head_dim": 4, "rope_theta": -1)"),
            "rope_theta: no number above 0");
  EXPECT_EQ(parsed(heads + R"(, "head_dim": 4, "rope_scaling": 3)"), "rope_scaling: no object");
}

TEST(Refusals, OfSizesOutOfRange) {
  const auto with = [](std::int64_t ModelConfig::*field, std::int64_t value) {
    ModelConfig config = named_config("tiny").value();
    config.*field = value;
    return why_not(check(config));
  };
  EXPECT_EQ(with(&ModelConfig::vocab, 0), "vocabulary out of range");
  EXPECT_EQ(with(&ModelConfig::hidden, 0), "hidden size out of range");
  EXPECT_EQ(with(&ModelConfig::intermediate, std::int64_t{1} << 40),
            "intermediate size out of range");
  EXPECT_EQ(with(&ModelConfig::layers, 0), "number of layers out of range");
  EXPECT_EQ(with(&ModelConfig::heads, 0), "heads out of range");
  EXPECT_EQ(with(&ModelConfig::head_dim, 31), "RoPE needs an even head dimension");
  EXPECT_EQ(with(&ModelConfig::max_positions, 0), "positions out of range");
}

TEST(Refusals, OfFilesAndFolders) {
  const TemporaryFolder folder;
  EXPECT_EQ(why_not(File::open_to_read(folder.path())), "not a plain file");
  const Path path = folder.path() / "short";
  std::ofstream(path) << "abc";
  const File file = std::move(*File::open_to_read(path));
  std::array<std::byte, 4> four{};
  EXPECT_EQ(why_not(file.read_at(0, four)), "it ends earlier than it did at the start");
  const auto none = FolderSource::open(folder.path());
  EXPECT_EQ(why_not(none), "no *.bin, *.u16 or *.u32 file there");
  EXPECT_EQ(advice_of(none), "make them with `longhaul-train tokenize`");
  auto shard = ShardWriter::create(folder.path() / "a.bin", 256);
  ASSERT_TRUE(shard);
  EXPECT_EQ(why_not(shard->append(std::vector<Token>{7, 65536})), "id 65536 does not fit 16 bits");
}

TEST(Refusals, OfOrders) {
  const std::vector<ShardInfo> shards = {{"a", std::uint64_t{1} << 32, 2}};
  const auto made = [&](OrderOptions options) { return SampleOrder::make(shards, options); };
  EXPECT_EQ(why_not(made({.seed = 1, .sequence = 0})), "empty samples or windows");
  EXPECT_EQ(why_not(made({.seed = 1, .sequence = 1, .window_blocks = 1000})),
            "the window is too large");
  auto order = made({.seed = 1, .sequence = 1024, .arrival = true});
  ASSERT_TRUE(order);
  EXPECT_EQ(why_not(order->take(std::vector<std::uint32_t>{3, 3})),
            "it takes a block twice, or one that is none");
}

// protobuf: a field of bytes.
std::string bytes_field(int number, const std::string& bytes) {
  std::string out(1, static_cast<char>(number << 3 | 2));
  for (std::size_t left = bytes.size();; left >>= 7) {
    out += static_cast<char>((left & 127) | (left > 127 ? 128 : 0));
    if (left <= 127) return out + bytes;
  }
}

TEST(Refusals, OfTokenizers) {
  const std::string piece = bytes_field(1, bytes_field(1, "x"));
  EXPECT_EQ(why_not(parse_sentencepiece(
                bytes_of(bytes_field(1, bytes_field(1, std::string(kMaxPieceBytes + 1, 'x')))))),
            "a piece too long");
  std::string many;
  for (std::size_t i = 0; i <= kMaxPieces; ++i) many += piece;
  EXPECT_EQ(why_not(parse_sentencepiece(bytes_of(many))), "too many pieces");
  TokenizeOptions options;
  options.shard_tokens = 0;
  const auto bytes = open_tokenizer("bytes");
  ASSERT_TRUE(bytes);
  EXPECT_EQ(why_not(tokenize(**bytes, options)), "shards of no tokens");
}

}  // namespace
}  // namespace longhaul::trainer
