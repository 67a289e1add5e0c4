// Weights as they go home: rounded right, whatever they are, and the same from every offset.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "compression/safetensors.hpp"
#include "lib/checkpoint/checkpoint_files.hpp"
#include "tests/checkpoint/weights.hpp"
#include "tests/sim/crash_files.hpp"
#include "tests/transfer/world.hpp"

namespace longhaul::test {
namespace {

using checkpoint::CheckpointFiles;
using checkpoint::Form;
using store::TreeName;

float widened(std::uint16_t bits) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16);
}
std::uint16_t rounded(float value) {
  ByteVector in(4), out(2);
  store_le<std::uint32_t>(in, std::bit_cast<std::uint32_t>(value));
  checkpoint::round_to_bf16(in, out);
  return load_le<std::uint16_t>(out);
}

// The definition: no bf16 is nearer, and of two equally near the even one is taken.
TEST(Bf16, IsTheNearestAndTheEvenOneOfTwo) {
  Rng rng(1, "bf16");
  for (int i = 0; i < 200'000; ++i) {
    auto bits = static_cast<std::uint32_t>(rng.below(1ULL << 32));
    if (i % 3 == 0) bits = (bits & 0xffff0000U) | 0x8000U;  // halfway
    const float value = std::bit_cast<float>(bits);
    if (!std::isfinite(value)) continue;
    const std::uint16_t got = rounded(value);
    const std::uint16_t below = static_cast<std::uint16_t>(bits >> 16);
    const std::uint16_t above = static_cast<std::uint16_t>(below + 1);
    if (!std::isfinite(widened(above))) continue;
    const double down = std::abs(static_cast<double>(value) - static_cast<double>(widened(below)));
    const double up = std::abs(static_cast<double>(widened(above)) - static_cast<double>(value));
    const std::uint16_t even = below % 2 == 0 ? below : above;
    const std::uint16_t right = down < up ? below : up < down ? above : even;
    ASSERT_EQ(got, right) << bits;
  }
}

TEST(Bf16, WhatIsNoNumberStaysNone) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  EXPECT_EQ(widened(rounded(kInfinity)), kInfinity);
  EXPECT_EQ(widened(rounded(-kInfinity)), -kInfinity);
  EXPECT_EQ(widened(rounded(std::numeric_limits<float>::max())), kInfinity);
  EXPECT_EQ(rounded(-0.0F), 0x8000);
  for (const std::uint32_t bits : {0x7f800001U, 0x7fffffffU, 0xff800001U, 0xffffffffU, 0x7fc00000U})
    EXPECT_TRUE(std::isnan(widened(rounded(std::bit_cast<float>(bits))))) << bits;
}

std::vector<MadeTensor> some_tensors(Rng& rng) {
  return {{"embed\\u002eweight", "F32", "100,37", floats(rng, 3700)},
          {"ids", "I64", "5", random_bytes(rng, 40)},
          {"gain", "F32", "", floats(rng, 1)},
          {"mask", "BOOL", "3", ByteVector(3, std::byte{1})},
          {"odd", "F32", "7", floats(rng, 7)},
          {"none", "F32", "0,4", {}},
          {"half", "BF16", "9", random_bytes(rng, 18)}};
}

std::shared_ptr<CheckpointFiles> opened(store::Files& files, Form form = Form::kWeights) {
  auto out = CheckpointFiles::open(files, TreeName::known("c"), form);
  EXPECT_TRUE(out) << out.error().message();
  return out ? *out : nullptr;
}

ByteVector all_of(store::Files& files, const char* name) {
  return *store::read_whole(files, TreeName::known(name), 1U << 24);
}

TEST(Bf16, AFileKeepsAllButTheWidthOfItsFloats) {
  Rng rng(2, "bf16");
  const auto tensors = some_tensors(rng);
  sim::CrashFiles disk;
  put_file(disk, "c/model.safetensors", safetensors(tensors));
  const auto files = opened(disk);
  const ByteVector made = all_of(*files, "model.safetensors");
  EXPECT_EQ(made.size(), files->rows().at(0).entry.size);
  const auto header = *compression::safetensors_header_bytes(Bytes(made).first(8), made.size());
  EXPECT_EQ(header % 8, 0U);
  const auto json = Bytes(made).subspan(8, header);
  EXPECT_NE(text_of(json).find(R"("__metadata__":{"format":"pt"})"), std::string_view::npos);
  const auto layout = compression::parse_safetensors(json, made.size());
  ASSERT_TRUE(layout) << layout.error().message();
  std::map<std::string, compression::Tensor> by_name;
  for (const auto& tensor : layout->tensors) by_name.emplace(tensor.name, tensor);
  ASSERT_EQ(by_name.size(), tensors.size());
  for (const MadeTensor& tensor : tensors) {
    SCOPED_TRACE(tensor.name);
    const auto& found = by_name.at(tensor.name);
    ByteVector expected = tensor.data;
    if (tensor.dtype == "F32") {
      expected.resize(tensor.data.size() / 2);
      checkpoint::round_to_bf16(tensor.data, expected);
    }
    EXPECT_EQ(found.dtype, tensor.dtype == "F32" ? "BF16" : tensor.dtype);
    EXPECT_TRUE(equal(Bytes(made).subspan(found.begin, found.bytes), expected));
  }
}

TEST(Bf16, EveryOffsetAndLengthReadsTheSame) {
  Rng rng(3, "bf16");
  sim::CrashFiles disk;
  auto tensors = some_tensors(rng);
  tensors.push_back({"large", "F32", "300001", floats(rng, 300'001)});
  put_file(disk, "c/model.safetensors", safetensors(tensors));
  const auto files = opened(disk);
  const ByteVector whole = all_of(*files, "model.safetensors");
  auto file = *files->open(TreeName::known("model.safetensors"), store::Access::kRead);
  for (int i = 0; i < 3000; ++i) {
    const std::uint64_t near = i % 2 == 0 ? 9000 : whole.size();
    const std::uint64_t offset = rng.below(near + 5);
    ByteVector part(i % 50 == 0 ? rng.below(400'000) : rng.below(70));
    const auto got = file->read_at(part, offset);
    ASSERT_TRUE(got);
    const std::size_t there =
        offset >= whole.size() ? 0 : std::min<std::size_t>(part.size(), whole.size() - offset);
    ASSERT_EQ(*got, there) << offset;
    ASSERT_TRUE(equal(Bytes(part).first(there),
                      Bytes(whole).subspan(std::min(offset, whole.size()), there)))
        << offset << " " << there;
  }
}

TEST(CheckpointFiles, OfWeightsAreNoOptimizersAndNoNotesOfOthers) {
  Rng rng(4, "bf16");
  sim::CrashFiles disk;
  const ByteVector weights = safetensors({{"w", "F32", "10", floats(rng, 10)}});
  for (const char* name : {"model.safetensors", "model-00002.safetensors", "state.safetensors",
                           "optimizer.safetensors", "inner/more.safetensors"})
    put_file(disk, std::string("c/") + name, weights);
  for (const char* name :
       {"config.json", "checkpoint.json", "tokenizer.model", "rng.pt", ".hidden"})
    put_file(disk, std::string("c/") + name, bytes_of("{}"));
  std::vector<std::string> names;
  const auto files = opened(disk);
  for (const auto& row : files->rows()) names.push_back(row.entry.name.text());
  EXPECT_EQ(names, (std::vector<std::string>{"config.json", "model-00002.safetensors",
                                             "model.safetensors", "tokenizer.model"}));
  EXPECT_EQ(opened(disk, Form::kFull)->rows().size(), 11U);  // a folder, too
  const auto full = opened(disk, Form::kFull);
  EXPECT_TRUE(equal(all_of(*full, "state.safetensors"), weights));
}

TEST(CheckpointFiles, AHeaderOutOfOrderGoesAsItStands) {
  Rng rng(5, "bf16");
  sim::CrashFiles disk;
  ByteVector torn = safetensors({{"w", "F32", "10", floats(rng, 10)}});
  torn.pop_back();
  put_file(disk, "c/model.safetensors", torn);
  put_file(disk, "c/short.safetensors", bytes_of("abc"));
  const auto files = opened(disk);
  EXPECT_TRUE(equal(all_of(*files, "model.safetensors"), torn));
  EXPECT_TRUE(equal(all_of(*files, "short.safetensors"), bytes_of("abc")));
}

TEST(CheckpointFiles, WhatIsDeletedMeanwhileStillArrives) {
  Rng rng(6, "bf16");
  sim::CrashFiles disk;
  put_file(disk, "c/model.safetensors", safetensors({{"w", "F32", "999", floats(rng, 999)}}));
  const auto files = opened(disk);
  const store::FileStat before = *files->stat(TreeName::known("model.safetensors"));
  const ByteVector whole = all_of(*files, "model.safetensors");
  ASSERT_TRUE(store::remove_tree(disk, TreeName::known("c")));
  EXPECT_TRUE(files->stat(TreeName::known("model.safetensors"))->same_content_as(before));
  EXPECT_TRUE(equal(all_of(*files, "model.safetensors"), whole));
  EXPECT_FALSE(CheckpointFiles::open(disk, TreeName::known("c"), Form::kWeights));
}

}  // namespace
}  // namespace longhaul::test
