// What people read about a file of theirs that cannot be used: which one, why, and what to do.
#include <gtest/gtest.h>

#include <fstream>

#include "tests/trainer/temporary_folder.hpp"
#include "trainer/checkpoint.hpp"
#include "trainer/folder_source.hpp"
#include "trainer/loader.hpp"
#include "trainer/tokenizer.hpp"
#include "trainer/weights_file.hpp"

namespace longhaul::trainer {
namespace {

ModelConfig one_layer() {
  ModelConfig config = named_config("tiny").value();
  config.layers = 1;
  config.hidden = config.intermediate = 8;
  config.heads = config.kv_heads = 2;
  config.head_dim = 4;
  return config;
}
std::vector<float> halves_of(const ModelConfig& config) {
  return std::vector<float>(static_cast<std::size_t>(parameter_count(config)), 0.5F);
}

class ModelFolder {
 public:
  ModelFolder() {
    EXPECT_TRUE(
        save_weights(path(), one_layer(), halves_of(one_layer()), {"F32", std::uint64_t{1} << 30}));
  }
  Path path() const { return folder_.path() / "model"; }
  void put(const char* name, const std::string& text) const {
    std::ofstream(path() / name, std::ios::binary) << text;
  }
  std::string text(const char* name) const { return read_text(path() / name, 1 << 30).value(); }

 private:
  TemporaryFolder folder_;
};

template <class T>
void says(const Result<T>& result, const std::string& attempt, const std::string& why,
          const std::string& advice) {
  ASSERT_FALSE(result) << why;
  EXPECT_EQ(result.error().attempt(), attempt);
  EXPECT_EQ(result.error().why(), why);
  EXPECT_EQ(result.error().advice(), advice);
}

TEST(FileErrors, OfAConfigNameTheFile) {
  const ModelFolder folder;
  const std::string attempt = "read " + (folder.path() / "config.json").native();
  const std::string again = "copy the model's folder again, or mend the file";
  const std::string good = folder.text("config.json");
  const auto changed = [&](const std::string& from, const std::string& to) {
    std::string text = good;
    text.replace(text.find(from), from.size(), to);
    folder.put("config.json", text);
    return read_model_config(folder.path());
  };
  folder.put("config.json", "{ ");
  says(read_model_config(folder.path()), attempt, "a key is missing at byte 2", again);
  says(changed("\"vocab_size\": 256", "\"vocab_size\": \"many\""), attempt,
       "vocab_size: no whole number", again);
  says(changed("\"num_key_value_heads\": 2", "\"num_key_value_heads\": 3"), attempt,
       "the number of heads is no multiple of the number of key-value heads", again);
  says(changed("\"mlp_bias\": false", "\"mlp_bias\": true"), attempt, "mlp_bias other than false",
       "only LLaMA models without biases, with plain RoPE and SiLU, can be used");
  says(named_config("gpt"), "find the model \"gpt\"",
       "there is: tiny llama-60m llama-124m llama-130m llama-350m llama-1b llama-1.4b",
       "name one of these, or a Hugging Face folder");
}

TEST(FileErrors, OfWeightsSayWhatToCopy) {
  const ModelFolder folder;
  const std::string file = "read " + (folder.path() / "model.safetensors").native();
  const std::string model = "load the model " + folder.path().native();
  const std::string good = folder.text("model.safetensors");
  std::vector<float> out = halves_of(one_layer());
  const auto load = [&](const ModelConfig& config = one_layer()) {
    out = halves_of(config);
    return load_weights(folder.path(), config, out);
  };
  for (const std::size_t size : {4UL, 20UL, good.size() - 1}) {
    folder.put("model.safetensors", good.substr(0, size));
    const auto cut = load();
    ASSERT_FALSE(cut);
    EXPECT_EQ(cut.error().attempt(), file);
    EXPECT_EQ(cut.error().advice(),
              "copy the file again: it was cut short, or is no safetensors file");
  }
  std::string other = good;
  other.replace(other.find("\"F32\""), 5, "\"I32\"");
  folder.put("model.safetensors", other);
  const auto whole = load();
  ASSERT_FALSE(whole);
  EXPECT_EQ(whole.error().attempt(), file);
  EXPECT_NE(whole.error().why().find("is I32: weights are F32, BF16 or F16"), std::string::npos);
  EXPECT_EQ(whole.error().advice(), "save the model again in one of these");

  folder.put("model.safetensors", good);
  const std::string mixed =
      "copy the model's folder again: its files are not of one model, or not all there";
  ModelConfig config = one_layer();
  config.layers = 2;
  says(load(config), model,
       "9 tensors are missing, model.layers.1.input_layernorm.weight among them", mixed);
  config = one_layer();
  config.vocab = 300;
  says(load(config), model, "model.embed_tokens.weight is [256, 8], the config wants [300, 8]",
       mixed);
  folder.put("model.safetensors.index.json", "{");
  says(load(), file + ".index.json", "a key is missing at byte 1", "copy the model's folder again");
  folder.put("model.safetensors.index.json", "{}");
  says(load(), model, "its index names no file", mixed);
}

TEST(FileErrors, OfShardsSayHowTheyAreMade) {
  const TemporaryFolder folder;
  const Path path = folder.path() / "a.bin";
  const std::string attempt = "read the shard " + path.native();
  const std::string again = "copy the file again, or make it with `longhaul-train tokenize`";
  const auto reading = [&](const std::string& bytes) {
    std::ofstream(path, std::ios::binary) << bytes;
    return FolderSource::open(path);
  };
  says(reading(""), attempt, "it holds no token", again);
  says(reading("abc"), attempt, "it ends in part of a token", again);
  auto writer = ShardWriter::create(path, 256);
  ASSERT_TRUE(writer && writer->append(std::vector<Token>{1, 2, 3, 200, 5}) && writer->finish());
  const std::string good = read_text(path, 1 << 20).value();
  says(reading(good.substr(0, good.size() - 2)), attempt,
       "its header promises 5 tokens, it holds 4", again);
  std::string newer = good;
  newer[4] = 9;
  says(reading(newer), attempt, "version 9 of the layout", again);

  auto source = reading(good).value();
  says(SampleOrder::make(source->shards(), {.seed = 1, .sequence = 9}), "order the samples",
       "no shard holds 10 tokens in a row", "take a smaller --sequence, or more text in a shard");
  SampleOrder order = SampleOrder::make(source->shards(), {.seed = 1, .sequence = 4}).value();
  Loader loader(std::move(source), std::move(order), 4, {.global_batch = 1, .vocab = 100});
  says(loader.take(), "read a.bin", "token 3 is id 200, the model's vocabulary ends at 100",
       "give the --model that goes with the data's tokenizer, or tokenize again");
}

TEST(FileErrors, OfACheckpointSayWhatItWasMadeWith) {
  const TemporaryFolder folder;
  const std::vector<float> weights = halves_of(one_layer()), first(7, 1.5F);
  const std::vector<NamedConstFloats> state = {{"first", first}};
  CheckpointNotes notes;
  notes.step = 3;
  const std::uint64_t attempt = claim_attempt(folder.path()).value();
  ASSERT_TRUE(write_checkpoint(folder.path(), attempt, one_layer(), weights, state, notes));
  const Path at = checkpoint_path(folder.path(), 3);
  std::vector<float> loaded = weights, second(7), shorter(6);
  const std::string resume = "resume from " + at.native();
  const std::string advice =
      "give the --model, --layers, --hidden and --optimizer that it was made with, or another "
      "--run";
  const auto load = [&](const ModelConfig& config, const std::vector<NamedFloats>& into) {
    return load_checkpoint(at, config, loaded, into);
  };
  ModelConfig other = one_layer();
  other.rope_theta = 5;
  says(load(other, {{"first", second}}), resume, "it is a checkpoint of another model", advice);
  says(load(one_layer(), {}), resume, "its optimizer keeps other buffers", advice);
  says(load(one_layer(), {{"first", shorter}}), resume,
       "the optimizer's buffer first is missing or of another length", advice);

  const std::string verify = "verify " + at.native();
  const std::string older = "take an older checkpoint: --resume auto does";
  const std::string good = read_text(at / "checkpoint.json", 1 << 20).value();
  std::ofstream(at / "checkpoint.json") << "{";
  says(verify_checkpoint(at), verify, "checkpoint.json is not what was written", older);
  std::string strange = good;
  strange.replace(strange.find("\"step\": 3"), 9, "\"step\": -");
  std::ofstream(at / "checkpoint.json") << strange;
  says(verify_checkpoint(at), verify, "checkpoint.json is not what was written", older);
  strange = good;
  strange.replace(strange.find("\"step\": 3"), 9, "\"stop\": 3");
  std::ofstream(at / "checkpoint.json") << strange;
  says(verify_checkpoint(at), "read " + (at / "checkpoint.json").native(),
       "a whole number is missing", older);
  strange = good;
  strange.replace(strange.find("\"format\": 1"), 11, "\"format\": 2");
  std::ofstream(at / "checkpoint.json") << strange;
  EXPECT_EQ(verify_checkpoint(at).error().why(), "another format");
}

TEST(FileErrors, OfTextAndTokenizersSayWhatIsWanted) {
  const TemporaryFolder folder;
  const Path model = folder.path() / "some.model";
  std::ofstream(model) << "text";
  const auto read = open_tokenizer(model.native());
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().attempt(), "read " + model.native());
  EXPECT_EQ(read.error().advice(), "give --tokenizer the .model file that SentencePiece wrote");
  // One unknown piece, and a model of kind 1: unigram.
  std::ofstream(model, std::ios::binary)
      << std::string("\x0a\x09\x0a\x05<unk>\x18\x02\x12\x02\x18\x01", 15);
  says(open_tokenizer(model.native()), "read " + model.native(), "a model that is not BPE",
       "take a BPE model that normalises nothing, as LLaMA's");
  std::ofstream(folder.path() / "empty.txt").flush();
  says(tokenize(ByteTokenizer{}, {.inputs = {folder.path() / "empty.txt"}, .out = folder.path()}),
       "tokenize", "the input holds no text", "give text files, or folders of them, as --input");
}

}  // namespace
}  // namespace longhaul::trainer
