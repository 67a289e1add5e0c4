// What the trainer puts in place is durable: the bytes before the name, and then the name.
#include <gtest/gtest.h>

#include <filesystem>

#include "tests/base/sync_calls.hpp"
#include "tests/trainer/temporary_folder.hpp"
#include "trainer/checkpoint.hpp"
#include "trainer/safetensors_file.hpp"
#include "trainer/shard.hpp"

namespace longhaul::trainer {
namespace {

class TrainerSyncs : public testing::Test {
 protected:
  TrainerSyncs() : root_(std::filesystem::canonical(folder_.path())) { sync_calls::forget(); }

  const TemporaryFolder folder_;
  const Path root_;
};

void expect_put_in_place(const Path& path) {
  EXPECT_TRUE(sync_calls::had_content_before_its_name(path)) << path;
  EXPECT_TRUE(sync_calls::has_name(path)) << path;
}

TEST_F(TrainerSyncs, ATextPutInPlace) {
  ASSERT_TRUE(write_text_atomically(root_ / "notes", "one"));
  expect_put_in_place(root_ / "notes");
}

TEST_F(TrainerSyncs, ATextThatIsGivenOnce) {
  ASSERT_TRUE(write_text_once(root_ / "first", "one"));
  expect_put_in_place(root_ / "first");
}

TEST_F(TrainerSyncs, AShardOfTokens) {
  auto shard = ShardWriter::create(root_ / "train.bin", 2);
  ASSERT_TRUE(shard) << shard.error().message();
  const std::vector<Token> tokens = {1, 2, 3};
  ASSERT_TRUE(shard->append(tokens));
  ASSERT_TRUE(shard->finish());
  expect_put_in_place(root_ / "train.bin");
}

TEST_F(TrainerSyncs, AFileOfTensors) {
  const std::vector<float> floats(8, 0.5F);
  const TensorToWrite tensor = floats_to_write("w", "F32", {8}, floats);
  ASSERT_TRUE(write_safetensors(root_ / "w.safetensors", std::span(&tensor, 1), {}));
  EXPECT_TRUE(sync_calls::has_content(root_ / "w.safetensors"));
}

TEST_F(TrainerSyncs, ACheckpoint) {
  ModelConfig config = named_config("tiny").value();
  config.layers = 1;
  config.hidden = config.intermediate = 8;
  config.heads = config.kv_heads = 2;
  config.head_dim = 4;
  const std::vector<float> weights(static_cast<std::size_t>(parameter_count(config)), 0.25F);
  const std::vector<float> moment(7, 1.5F);
  const std::vector<NamedConstFloats> state = {{"first", moment}};
  CheckpointNotes notes;
  notes.step = 100;
  const std::uint64_t attempt = claim_attempt(root_).value();
  ASSERT_TRUE(write_checkpoint(root_, attempt, config, weights, state, notes));
  const Path folder = checkpoint_path(root_, 100);
  std::size_t files = 0;
  for (const auto& file : std::filesystem::directory_iterator(folder)) {
    expect_put_in_place(file.path());
    ++files;
  }
  EXPECT_GE(files, 4U);  // config, weights, state, notes
  EXPECT_TRUE(sync_calls::has_name(folder));
  EXPECT_TRUE(sync_calls::has_name(root_ / "checkpoints"));
}

}  // namespace
}  // namespace longhaul::trainer
