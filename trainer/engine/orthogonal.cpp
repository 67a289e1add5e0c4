#include "trainer/engine/orthogonal.hpp"

#include <string>

#include "lib/base/assert.hpp"
#include "lib/base/escape.hpp"
#include "trainer/parameters.hpp"

namespace longhaul::trainer {

Result<PolarMethod> parse_polar(std::string_view name) {
  if (name == "newton-schulz") return PolarMethod::kNewtonSchulz;
  if (name == "polar-express") return PolarMethod::kPolarExpress;
  return fail(Kind::kUsage, "choose the polar factor by \"" + printable(name, 32) + "\"",
              "there is: newton-schulz, polar-express");
}

const PolarRecipe& recipe_of(PolarMethod method) {
  static const PolarRecipe kNewton{std::vector<Quintic>(5, {3.4445, -4.7750, 2.0315}), 1, 1e-7};
  // The published constants for 5 steps.
  static const PolarRecipe kExpress{
      {{8.156554524902461, -22.48329292557795, 15.878769915207462},
       {4.042929935166739, -2.808917465908714, 0.5000178451051316},
       {3.8916678022926607, -2.772484153217685, 0.5060648178503393},
       {3.285753657755655, -2.3681294933425376, 0.46449024233003106},
       {2.3465413258596377, -1.7097828382687081, 0.42323551169305323}},
      1.02,
      1e-6};
  static const PolarRecipe kQuintic{std::vector<Quintic>(12, {2, -1.5, 0.5}), 1, 1e-30};
  switch (method) {
    case PolarMethod::kNewtonSchulz:
      return kNewton;
    case PolarMethod::kPolarExpress:
      return kExpress;
    case PolarMethod::kQuintic:
      break;
  }
  return kQuintic;
}

namespace {

// Rows from which a symmetric product is cut, and the least of a block. On a GPU only what still
// fills the card when halved; measured on CPUs alone.
struct Cuts {
  std::int64_t from, least;
};
Cuts cuts_of(const at::Tensor& x) {
  return x.is_cuda() ? Cuts{2048, 1024} : Cuts{kPolarCutFrom, kPolarBlock};
}

// out = beta in + alpha x y^T, which is known to be symmetric, [k, m, m] all: of the halves of the
// rows, what stands above the diagonal is a copy of what stands below it.
void symmetric_product(at::Tensor out, const at::Tensor& in, const at::Tensor& x,
                       const at::Tensor& y, double beta, double alpha, std::int64_t least) {
  const std::int64_t m = x.size(1), low = m / 2, high = m - low;
  if (low < least) {
    at::baddbmm_out(out, in, x, y.transpose(1, 2), beta, alpha);
    return;
  }
  const auto block = [&](const at::Tensor& of, std::int64_t row, std::int64_t column) {
    return of.narrow(1, row, row == 0 ? low : high).narrow(2, column, column == 0 ? low : high);
  };
  const at::Tensor x0 = x.narrow(1, 0, low), x1 = x.narrow(1, low, high);
  const at::Tensor y0 = y.narrow(1, 0, low), y1 = y.narrow(1, low, high);
  symmetric_product(block(out, 0, 0), block(in, 0, 0), x0, y0, beta, alpha, least);
  symmetric_product(block(out, low, low), block(in, low, low), x1, y1, beta, alpha, least);
  at::Tensor below = block(out, low, 0);
  at::baddbmm_out(below, block(in, low, 0), x1, y0.transpose(1, 2), beta, alpha);
  block(out, 0, low).copy_(below.transpose(1, 2));
}

}  // namespace

at::Tensor orthogonalized(const at::Tensor& matrices, PolarMethod method) {
  ASSERT(matrices.dim() == 3);
  return orthogonalized(matrices, matrices.pow(2).sum({1, 2}).sqrt(), method);
}

at::Tensor orthogonalized(const at::Tensor& matrices, const at::Tensor& norms, PolarMethod method) {
  ASSERT(matrices.dim() == 3 && norms.dim() == 1);
  const PolarRecipe& recipe = recipe_of(method);
  const bool turned = matrices.size(1) > matrices.size(2);  // A is the smaller square
  at::Tensor x = turned ? matrices.transpose(1, 2) : matrices;
  const at::Tensor divisors = norms * recipe.slack + recipe.least;
  x = x / divisors.to(x.scalar_type()).view({-1, 1, 1});
  const Cuts cuts = cuts_of(x);
  const std::int64_t m = x.size(1), least = m < cuts.from ? m : cuts.least;
  const at::Tensor a = at::empty({x.size(0), m, m}, x.options()), b = at::empty_like(a);
  for (const Quintic& step : recipe.steps) {
    symmetric_product(a, a, x, x, 0, 1, least);  // what stands in `a` is not read
    symmetric_product(b, a, a, a, step.b, step.c, least);
    x = at::baddbmm(x, b, x, step.a, 1);
  }
  return turned ? x.transpose(1, 2) : x;
}

}  // namespace longhaul::trainer
