#include "trainer/engine/orthogonal.hpp"

#include <string>

#include "lib/base/assert.hpp"
#include "lib/base/escape.hpp"

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
  for (const Quintic& step : recipe.steps) {
    const at::Tensor a = at::bmm(x, x.transpose(1, 2));
    const at::Tensor b = at::baddbmm(a, a, a, step.b, step.c);
    x = at::baddbmm(x, b, x, step.a, 1);
  }
  return turned ? x.transpose(1, 2) : x;
}

}  // namespace longhaul::trainer
