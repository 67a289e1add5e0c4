#include "trainer/plan.hpp"

#include <gtest/gtest.h>

#include <functional>

#include "trainer/parameters.hpp"

namespace longhaul::trainer {
namespace {

PlanInputs some_plan() {
  return {named_config("tiny").value(), 1e9, 256, 2, 1e12, 0.5, 2.5};
}
MemoryInputs some_rank() {
  return {.model = named_config("llama-60m").value()};
}

template <class Inputs>
struct Row {
  std::function<void(Inputs&)> spoil;
  const char* why;
};
template <class Inputs>
void refuses(const Inputs& good, const std::vector<Row<Inputs>>& rows) {
  EXPECT_TRUE(check(good));
  for (const Row<Inputs>& row : rows) {
    Inputs bad = good;
    row.spoil(bad);
    const Result<> checked = check(bad);
    ASSERT_FALSE(checked) << row.why;
    EXPECT_EQ(checked.error().kind(), Kind::kUsage);
    EXPECT_EQ(checked.error().why(), row.why);
  }
}

TEST(Plan, RefusesWhatMakesNoSense) {
  refuses<PlanInputs>(some_plan(),
                      {{[](auto& in) { in.ranks = 0.5; }, "--ranks is at least 1"},
                       {[](auto& in) { in.sequence = 0; }, "--sequence is at least 1"},
                       {[](auto& in) { in.mfu = 1.5; }, "--mfu lies in (0, 1]"},
                       {[](auto& in) { in.peak_flops = -1e12; }, "--peak-tflops is above 0"},
                       {[](auto& in) { in.tokens = -1; }, "--tokens is not below 0"},
                       {[](auto& in) { in.price_per_hour = -5; }, "--price is not below 0"},
                       {[](auto& in) { in.link_bits_per_second = -3e6; }, "--link is not below 0"},
                       {[](auto& in) { in.token_bytes = 0; }, "--token-bytes is above 0"},
                       {[](auto& in) { in.step_tokens = -1; }, "--step-tokens is not below 0"}});
  refuses<MemoryInputs>(
      some_rank(), {{[](auto& in) { in.samples = 0; }, "--batch is at least 1"},
                    {[](auto& in) { in.sequence = 0; }, "--batch times --sequence is at most 2^28"},
                    {[](auto& in) { in.samples = in.sequence = 1 << 20; },
                     "--batch times --sequence is at most 2^28"},
                    {[](auto& in) { in.threads = 0; }, "--threads lies in [1, 4096]"},
                    {[](auto& in) { in.ranks = 0; }, "--ranks lies in [1, 65536]"}});
}

TEST(Plan, SaysWhatOfTheLinkTheFeedTakes) {
  PlanInputs inputs = some_plan();
  EXPECT_EQ(plan(inputs).link_share, 0);
  inputs.link_bits_per_second = 1e8;
  const Plan out = plan(inputs);
  EXPECT_NEAR(out.link_share, out.feed_bits_per_second / 1e8, 1e-12);
  EXPECT_NEAR(out.upload_seconds, 1e9 * 2 * 8 / 1e8, 1e-6);
}

TEST(Accelerator, IsKnownByItsWholeName) {
  const auto called = [](const char* gpu) {
    const Accelerator* card = accelerator_called(gpu);
    return card == nullptr ? std::string_view("none") : card->name;
  };
  EXPECT_EQ(called("NVIDIA A40"), "a40");
  EXPECT_EQ(called("NVIDIA A100-SXM4-80GB"), "a100");
  EXPECT_EQ(called("NVIDIA A100 80GB PCIe"), "a100");
  EXPECT_EQ(called("NVIDIA H100 80GB HBM3"), "h100");
  EXPECT_EQ(called("NVIDIA H100 PCIe"), "h100-pcie");
  EXPECT_EQ(called("NVIDIA H200"), "h200");
  EXPECT_EQ(called("NVIDIA L40S"), "l40s");
  for (const char* other : {"NVIDIA RTX A4000", "RTX A1000", "NVIDIA L40", "NVIDIA GH200 480GB",
                            "NVIDIA H100 NVL", "NVIDIA H100 80GB HBM3 MIG 1g.10gb", "cpu", ""})
    EXPECT_EQ(called(other), "none") << other;
  EXPECT_EQ(accelerator("h100-pcie").value().peak_flops, 756e12);
  const Error unknown = accelerator("b200").error();
  EXPECT_EQ(unknown.kind(), Kind::kNotFound);
  EXPECT_EQ(unknown.why(), "there is: a40, a100, h100, h100-pcie, h200, l40s");
  EXPECT_EQ(unknown.advice(), "name one of these, or give its dense bf16 peak as --peak-tflops");
}

TEST(Memory, CountsRowsFactorsAndRoundedProducts) {
  const MemoryInputs one = some_rank();
  const ParameterLayout layout(one.model);
  const Memory usual = memory(one);

  MemoryInputs other = one;
  other.row_squares = true;
  const std::int64_t rows = 8 * (4 * 512 + 2 * 1376 + 512);  // q, k, v, o; gate, up; down
  EXPECT_EQ(memory(other).optimizer - usual.optimizer, 4 * rows);
  EXPECT_EQ(memory(other).snapshot - usual.snapshot, 4 * rows);
  EXPECT_EQ(device_memory(other).optimizer - device_memory(one).optimizer, 4 * rows);

  other = one;
  other.ranks = 4;  // each has all factors, but makes a part of them
  EXPECT_EQ(memory(other).workspace - usual.workspace, 4 * layout.matrix_size());
  EXPECT_EQ(device_memory(other).optimizer - device_memory(one).optimizer,
            4 * layout.matrix_size());
  other.adamw_matrices = true;
  EXPECT_EQ(memory(other).workspace, 0);

  other = one;
  other.bf16 = true;  // a chunk of the head's: its logits twice, and both factors
  EXPECT_GT(memory(other).workspace, 4 * (131 + 512) * 32000);
  EXPECT_EQ(memory(other).total() - memory(other).workspace, usual.total() - usual.workspace);
  const DeviceMemory half = device_memory(other), whole = device_memory(one);
  EXPECT_EQ(half.weights, whole.weights);
  EXPECT_EQ(whole.reading - half.reading, 2 * layout.size());
  EXPECT_EQ(whole.workspace, 2 * half.workspace);
  EXPECT_LT(half.activations, whole.activations);
}

}  // namespace
}  // namespace longhaul::trainer
