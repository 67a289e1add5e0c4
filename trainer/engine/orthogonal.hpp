// The orthogonal factor of a matrix's polar decomposition, U V^T of M = U S V^T, by odd polynomials
// of degree 5 in M: X <- a X + (b A + c A A) X with A = X X^T. Only products: fast everywhere. A
// and A A are symmetric: of large matrices little more than half of them is multiplied.
#pragma once

#include <ATen/ATen.h>

#include <string_view>
#include <vector>

#include "lib/base/result.hpp"

namespace longhaul::trainer {

enum class PolarMethod : std::uint8_t {
  kNewtonSchulz,  // 5 steps of (3.4445, -4.7750, 2.0315) (Jordan 2024): singular values of
                  // [0.01, 1] end in [0.68, 1.13]
  kPolarExpress,  // 5 steps, each its own best polynomial (Amsel et al., arXiv 2505.16932):
                  // [0.001, 1] ends in [0.84, 1.15]
  kQuintic,       // 12 steps of (2, -1.5, 0.5): to rounding; for tests
};
Result<PolarMethod> parse_polar(std::string_view name);  // newton-schulz, polar-express

struct Quintic {
  double a, b, c;
};
// In order; what is divided before: norm * slack + least.
struct PolarRecipe {
  std::vector<Quintic> steps;
  double slack, least;
};
const PolarRecipe& recipe_of(PolarMethod method);

// matrices [k, m, n], fp32, fp64 or bf16, any device -> the same shape; each on its own, so a batch
// gives the bits of its parts.
at::Tensor orthogonalized(const at::Tensor& matrices, PolarMethod method);
// The same from the matrices' Frobenius norms [k], where they are known.
at::Tensor orthogonalized(const at::Tensor& matrices, const at::Tensor& norms, PolarMethod method);

}  // namespace longhaul::trainer
