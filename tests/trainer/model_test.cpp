// The model against saved reference tensors (tests/golden/llama_reference.py), and a finite
// difference through all of it.
#include "trainer/engine/model.hpp"

#include <ATen/Parallel.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <cmath>

#include "lib/base/rng.hpp"
#include "trainer/engine/optimizer.hpp"
#include "trainer/plan.hpp"
#include "trainer/safetensors_file.hpp"
#include "trainer/weights_file.hpp"

namespace longhaul::trainer {
namespace {

struct Reference {
  std::unique_ptr<Model> model;
  std::unique_ptr<SafetensorsFile> file;
  std::vector<std::int64_t> tokens, targets;
  std::int64_t samples = 2, sequence = 0;
  Batch batch() const { return {tokens.data(), targets.data(), samples, sequence}; }
  std::vector<float> floats(const std::string& name) const {
    const compression::Tensor* tensor = file->find(name);
    std::vector<float> out(tensor->bytes / 4);
    EXPECT_TRUE(file->read_floats(*tensor, 0, out));
    return out;
  }
};

Reference open(const std::string& name) {
  const Path folder = Path(LONGHAUL_SOURCE_DIR) / "tests/golden/llama" / name;
  Reference out;
  out.model = std::make_unique<Model>(read_model_config(folder).value());
  const at::Tensor& weights = out.model->weights();
  const auto loaded =
      load_weights(folder, out.model->config(),
                   {weights.data_ptr<float>(), static_cast<size_t>(weights.numel())});
  EXPECT_TRUE(loaded) << loaded.error().message();
  out.file = std::make_unique<SafetensorsFile>(
      SafetensorsFile::open(folder / "reference.safetensors").value());
  const compression::Tensor* tokens = out.file->find("tokens");
  std::vector<std::int64_t> ids(tokens->bytes / 8);
  EXPECT_TRUE(out.file->read_bytes(*tokens, std::as_writable_bytes(std::span(ids))));
  const std::size_t width = ids.size() / 2;
  out.sequence = static_cast<std::int64_t>(width) - 1;
  for (std::size_t i = 0; i < ids.size(); ++i) {
    if (i % width + 1 < width) out.tokens.push_back(ids[i]);
    if (i % width > 0) out.targets.push_back(ids[i]);
  }
  return out;
}

// fp32 against float64: |difference| relative to the largest value of the tensor.
double distance(const float* got, const std::vector<float>& want) {
  double most = 0, top = 0;
  for (std::size_t i = 0; i < want.size(); ++i) {
    most = std::max(most, std::abs(static_cast<double>(got[i]) - want[i]));
    top = std::max(top, std::abs(static_cast<double>(want[i])));
  }
  return most / top;
}

class ModelAgainstReference : public testing::TestWithParam<std::string> {};

TEST_P(ModelAgainstReference, LogitsAndLoss) {
  const Reference reference = open(GetParam());
  const at::Tensor logits = reference.model->logits(reference.batch());
  EXPECT_LT(distance(logits.data_ptr<float>(), reference.floats("logits")), 2e-6);
  const double mean =
      reference.model->loss(reference.batch()) / static_cast<double>(reference.batch().rows());
  EXPECT_NEAR(mean, static_cast<double>(reference.floats("loss")[0]), 2e-6);
}

TEST_P(ModelAgainstReference, GradientsOfEveryParameter) {
  for (const int threads : {1, 2}) {
    at::set_num_threads(threads);
    const Reference reference = open(GetParam());
    const float scale = 1.0F / static_cast<float>(reference.batch().rows());
    reference.model->train(reference.batch(), scale);
    for (const Parameter& parameter : reference.model->layout().all())
      EXPECT_LT(distance(reference.model->gradients().data_ptr<float>() + parameter.offset,
                         reference.floats("gradient." + parameter.name)),
                2e-5)
          << parameter.name << " with threads " << threads;
  }
  at::set_num_threads(1);
}

INSTANTIATE_TEST_SUITE_P(Golden, ModelAgainstReference, testing::Values("grouped", "tied"),
                         [](const auto& which) { return which.param; });

// Box-Muller, one parameter after another: what as many threads as there are must draw, too.
std::vector<float> drawn_in_order(const ModelConfig& config, std::uint64_t seed) {
  const ParameterLayout layout(config);
  std::vector<float> out(static_cast<std::size_t>(layout.size()), 1.0F);
  for (const Parameter& parameter : layout.all()) {
    if (parameter.role == Role::kGain) continue;
    const bool onto_stream = parameter.name.find("o_proj") != std::string::npos ||
                             parameter.name.find("down_proj") != std::string::npos;
    const double layers = static_cast<double>(config.layers);
    const double deviation = config.init_std * (onto_stream ? 1 / std::sqrt(2 * layers) : 1);
    Rng rng(seed, "init." + parameter.name);
    for (std::int64_t i = 0; i < parameter.count(); i += 2) {
      const double radius = deviation * std::sqrt(-2 * std::log(1 - rng.unit()));
      const double angle = 6.283185307179586 * rng.unit();
      out[std::size_t(parameter.offset + i)] = static_cast<float>(radius * std::cos(angle));
      if (i + 1 < parameter.count())
        out[std::size_t(parameter.offset + i + 1)] = static_cast<float>(radius * std::sin(angle));
    }
  }
  return out;
}

TEST(Model, ThreadsDrawTheWeightsThatOneDoes) {
  ModelConfig config = named_config("tiny").value();
  config.vocab = 257;
  config.layers = 3;
  const ParameterLayout layout(config);
  const std::vector<float> want = drawn_in_order(config, 7);
  for (const int threads : {1, 4, 40}) {  // also more than there are parameters
    at::set_num_threads(threads);
    std::vector<float> got(want.size());
    draw_weights(config, layout, 7, got);
    EXPECT_TRUE(got == want) << threads;
  }
  at::set_num_threads(1);
}

TEST(Model, GradientIsTheSlopeOfItsLoss) {
  const Reference reference = open("grouped");
  Model& model = *reference.model;
  const double loss = model.train(reference.batch(), 1.0F);
  EXPECT_NEAR(loss, model.loss(reference.batch()), 1e-3);
  // Along the gradient the loss must fall by step * |gradient|^2.
  const at::Tensor gradient = model.gradients().clone();
  const double square = gradient.to(at::kDouble).pow(2).sum().item<double>();
  const double step = 0.05 / square;
  const at::Tensor start = model.weights().clone();
  model.weights().copy_(start - gradient * step);
  const double below = model.loss(reference.batch());
  model.weights().copy_(start + gradient * step);
  const double above = model.loss(reference.batch());
  EXPECT_NEAR((above - below) / (2 * step) / square, 1, 0.02);
}

// A vocabulary so large that the head takes the rows of a batch in several parts, the last a
// shorter one.
TEST(Model, TheHeadInPartsIsTheHeadOfEachRow) {
  ModelConfig config = named_config("tiny").value();
  config.vocab = 70'000;
  config.hidden = 32;
  config.intermediate = 48;
  config.layers = 1;
  config.heads = config.kv_heads = 2;
  config.head_dim = 16;
  Model whole(config), alone(config);
  for (Model* model : {&whole, &alone}) model->init(3);
  Rng rng(5, "model.parts");
  constexpr std::int64_t kSamples = 30, kSequence = 5;  // 150 rows, 64 a part
  ASSERT_LT(kLogitFloats / config.vocab, 64);
  std::vector<std::int64_t> tokens, targets;
  for (std::int64_t i = 0; i < kSamples * kSequence; ++i) {
    tokens.push_back(static_cast<std::int64_t>(rng.below(70'000)));
    targets.push_back(static_cast<std::int64_t>(rng.below(70'000)));
  }
  const double got = whole.train({tokens.data(), targets.data(), kSamples, kSequence}, 0.01F);
  double want = 0;
  for (std::int64_t first = 0; first < kSamples * kSequence; first += kSequence)
    want += alone.train({tokens.data() + first, targets.data() + first, 1, kSequence}, 0.01F);
  EXPECT_NEAR(got, want, 1e-6 * want);
  const at::Tensor difference = whole.gradients() - alone.gradients();
  EXPECT_LT((difference.norm() / alone.gradients().norm()).item<double>(), 1e-5);
}

TEST(Model, GradientsAddUpOverMicroBatches) {
  const Reference reference = open("tied");
  Model& model = *reference.model;
  model.train(reference.batch(), 0.5F);
  const at::Tensor once = model.gradients().clone();
  model.gradients().zero_();
  const Batch whole = reference.batch();
  for (std::int64_t i = 0; i < 2; ++i)
    model.train(
        {whole.tokens + i * whole.sequence, whole.targets + i * whole.sequence, 1, whole.sequence},
        0.5F);
  EXPECT_LT((model.gradients() - once).abs().max().item<double>(),
            1e-5 * once.abs().max().item<double>());
}

TEST(Model, TakesTheMemoryThatThePlanNames) {
  for (const char* name : {"grouped", "tied"}) {
    const Reference reference = open(name);
    reference.model->loss(reference.batch());
    const Memory planned =
        memory({reference.model->config(), 2, reference.sequence, 1, false, true, false});
    EXPECT_EQ(planned.activations, reference.model->activation_bytes());
    EXPECT_EQ(planned.weights, reference.model->weights().numel() * 4);
    const Optimizer optimizer(*reference.model, optimizer_preset("muon").value());
    EXPECT_EQ(planned.optimizer, optimizer.state_bytes());
  }
}

// Where a page is new it is made when it is written first, which takes as long as a step's work.
TEST(Model, OnceItIsPreparedAStepMakesNoPages) {
  const auto pages = [](bool prepared) {
    Model model(named_config("tiny").value());
    const std::vector<std::int64_t> tokens(8 * 256);
    if (prepared) {
      model.prepare(8, 256);
      model.gradients().zero_();
    }
    rusage before{}, after{};
    ::getrusage(RUSAGE_THREAD, &before);
    model.train({tokens.data(), tokens.data(), 8, 256}, 1);
    ::getrusage(RUSAGE_THREAD, &after);
    return after.ru_minflt - before.ru_minflt;
  };
  at::set_num_threads(1);
  pages(true);  // what the libraries make once
  const auto few = pages(true);
  EXPECT_LT(few, pages(false) / 4) << few;
}

TEST(Model, IsTheSameForASeedAndStartsNearTheUniformLoss) {
  Model a(named_config("tiny").value()), b(named_config("tiny").value());
  a.init(3);
  b.init(3);
  EXPECT_TRUE(at::equal(a.weights(), b.weights()));
  b.init(4);
  EXPECT_FALSE(at::equal(a.weights(), b.weights()));
  std::vector<std::int64_t> ids(65);
  for (std::size_t i = 0; i < ids.size(); ++i) ids[i] = static_cast<std::int64_t>(i * 37 % 256);
  EXPECT_NEAR(a.loss({ids.data(), ids.data() + 1, 1, 64}) / 64, std::log(256.0), 0.1);
}

// bf16 keeps 8 bits: a factor is off by 2^-9 at most, and a product of two and its result by three
// such errors; sums of hundreds of random ones stay near that.
TEST(Products, OfBfloat16AreRoundedFactorsSummedInFloat) {
  auto generator = at::detail::createCPUGenerator(3);
  const std::int64_t n = 96, m = 80, k = 300;
  const at::Tensor a = at::randn({n, k}, generator, at::kFloat),
                   b = at::randn({m, k}, generator, at::kFloat),
                   start = at::randn({n, m}, generator, at::kFloat);
  const auto rounded = [](const at::Tensor& t) { return t.to(at::kBFloat16).to(at::kDouble); };
  const at::Tensor exact = at::mm(rounded(a), rounded(b).t());
  const auto as_matrix = [](const at::Tensor& t) {
    return Matrix(t.data_ptr<float>(), t.size(0), t.size(1));
  };
  at::Tensor out = at::empty({n, m});
  multiply_transposed(as_matrix(out), as_matrix(a), as_matrix(b), Into::kReplace,
                      Products::kBfloat16);
  // Only the result's own rounding is left: sums in bf16 would be off by 30 times as much.
  EXPECT_LT(((out - exact).abs() / (exact.abs() + 1)).max().item<double>(), 1.01 / 256);
  at::Tensor sum = start.clone();
  multiply_transposed(as_matrix(sum), as_matrix(a), as_matrix(b), Into::kAdd, Products::kBfloat16);
  EXPECT_LT((sum - (start + out)).abs().max().item<double>(), 1e-5);
  const at::Tensor turned = b.t().contiguous(), left = a.t().contiguous();
  at::Tensor same = at::empty({n, m});
  multiply(as_matrix(same), as_matrix(a), as_matrix(turned), Into::kReplace, Products::kBfloat16);
  EXPECT_LT(((same - exact).abs() / (exact.abs() + 1)).max().item<double>(), 1.01 / 256);
  multiply_left_transposed(as_matrix(same), as_matrix(left), as_matrix(turned), Into::kReplace,
                           Products::kBfloat16);
  EXPECT_LT(((same - exact).abs() / (exact.abs() + 1)).max().item<double>(), 1.01 / 256);
}

TEST(Model, InBfloat16IsNearlyTheSameAndNotTheSame) {
  Reference reference = open("grouped");
  Model& model = *reference.model;
  const float scale = 1.0F / static_cast<float>(reference.batch().rows());
  model.gradients().zero_();
  const double loss = model.train(reference.batch(), scale);
  const at::Tensor exact = model.gradients().clone();
  model.use_products(Products::kBfloat16);
  model.gradients().zero_();
  const double rounded = model.train(reference.batch(), scale);
  EXPECT_NE(rounded, loss);
  EXPECT_NEAR(rounded, loss, 5e-3 * loss);
  const double off = ((model.gradients() - exact).norm() / exact.norm()).item<double>();
  EXPECT_GT(off, 1e-4);
  EXPECT_LT(off, 3e-2);
  EXPECT_EQ(model.weights().scalar_type(), at::kFloat);  // the master copy
}

}  // namespace
}  // namespace longhaul::trainer
