#include "trainer/engine/gemm.hpp"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <dlfcn.h>

#include "lib/base/assert.hpp"

namespace longhaul::trainer {
namespace {

using Sgemm = void(const char*, const char*, const int*, const int*, const int*, const float*,
                   const float*, const int*, const float*, const int*, const float*, float*,
                   const int*);

Sgemm* find_sgemm() {
  // With 32-bit whole numbers, as every distribution builds BLAS; ILP64 builds name it sgemm_64_.
  static Sgemm* const found = reinterpret_cast<Sgemm*>(::dlsym(RTLD_DEFAULT, "sgemm_"));
  return found;
}

at::Tensor view_of(const Matrix& m) {
  return at::from_blob(m.data, {m.rows, m.columns}, {m.stride, 1}, at::kFloat);
}

// One product on this thread. BLAS counts by columns: row-major out = op(a) op(b) is
// out^T = op(b)^T op(a)^T there.
void product(const Matrix& out, const Matrix& a, bool a_turned, const Matrix& b, bool b_turned,
             Into into) {
  const std::int64_t inner = a_turned ? a.rows : a.columns;
  ASSERT((a_turned ? a.columns : a.rows) == out.rows);
  ASSERT((b_turned ? b.columns : b.rows) == inner &&
         (b_turned ? b.rows : b.columns) == out.columns);
  if (out.rows == 0 || out.columns == 0) return;
  if (Sgemm* const sgemm = find_sgemm()) {
    const int m = static_cast<int>(out.columns), n = static_cast<int>(out.rows),
              k = static_cast<int>(inner), lda = static_cast<int>(b.stride),
              ldb = static_cast<int>(a.stride), ldc = static_cast<int>(out.stride);
    const float one = 1, keep = into == Into::kAdd ? 1.0F : 0.0F;
    sgemm(b_turned ? "T" : "N", a_turned ? "T" : "N", &m, &n, &k, &one, b.data, &lda, a.data, &ldb,
          &keep, out.data, &ldc);
    return;
  }
  at::Tensor target = view_of(out);
  const at::Tensor left = a_turned ? view_of(a).t() : view_of(a);
  const at::Tensor right = b_turned ? view_of(b).t() : view_of(b);
  if (into == Into::kAdd) {
    target.addmm_(left, right);
  } else {
    at::mm_out(target, left, right);
  }
}

// LibTorch multiplies bf16 by oneDNN only where these are; else by loops of its own, 50 times
// slower.
bool has_fast_bfloat16() {
  static const bool found = at::hasMKLDNN() && __builtin_cpu_supports("avx512bw") &&
                            __builtin_cpu_supports("avx512vl") &&
                            __builtin_cpu_supports("avx512dq");
  return found;
}

// On all threads.
void product_bfloat16(const Matrix& out, const Matrix& a, bool a_turned, const Matrix& b,
                      bool b_turned, Into into) {
  if (out.rows == 0 || out.columns == 0) return;
  at::Tensor left = view_of(a).to(at::kBFloat16), right = view_of(b).to(at::kBFloat16);
  if (!has_fast_bfloat16()) {
    left = left.to(at::kFloat);
    right = right.to(at::kFloat);
  }
  at::Tensor result = at::mm(a_turned ? left.t() : left, b_turned ? right.t() : right);
  if (!has_fast_bfloat16()) result = result.to(at::kBFloat16);
  at::Tensor target = view_of(out);
  if (into == Into::kAdd) {
    target.add_(result);
  } else {
    target.copy_(result);
  }
}

constexpr std::int64_t kLeastRows = 16;  // below that a piece costs more than it brings

// Splits the rows of `out` over the threads; each element is still computed by one of them.
template <class Piece>
void split(std::int64_t rows, Piece&& piece) {
  const std::int64_t threads = at::in_parallel_region() ? 1 : at::get_num_threads();
  if (threads == 1 || rows < 2 * kLeastRows) return piece(0, rows);
  at::parallel_for(0, rows, std::max(kLeastRows, (rows + threads - 1) / threads),
                   [&](std::int64_t begin, std::int64_t end) { piece(begin, end - begin); });
}

}  // namespace

const char* gemm_backend(Products products) {
  if (products == Products::kBfloat16) return has_fast_bfloat16() ? "onednn" : "rounded";
  return find_sgemm() != nullptr ? "sgemm" : "at::mm";
}

void multiply_transposed(const Matrix& out, const Matrix& a, const Matrix& b, Into into,
                         Products products) {
  if (products == Products::kBfloat16) return product_bfloat16(out, a, false, b, true, into);
  split(out.rows, [&](std::int64_t first, std::int64_t count) {
    product(out.row_range(first, count), a.row_range(first, count), false, b, true, into);
  });
}

void multiply(const Matrix& out, const Matrix& a, const Matrix& b, Into into, Products products) {
  if (products == Products::kBfloat16) return product_bfloat16(out, a, false, b, false, into);
  split(out.rows, [&](std::int64_t first, std::int64_t count) {
    product(out.row_range(first, count), a.row_range(first, count), false, b, false, into);
  });
}

void multiply_left_transposed(const Matrix& out, const Matrix& a, const Matrix& b, Into into,
                              Products products) {
  if (products == Products::kBfloat16) return product_bfloat16(out, a, true, b, false, into);
  split(out.rows, [&](std::int64_t first, std::int64_t count) {
    product(out.row_range(first, count), a.column_range(first, count), true, b, false, into);
  });
}

}  // namespace longhaul::trainer
