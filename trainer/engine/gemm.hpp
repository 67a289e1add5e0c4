// Matrix products on row-major views, fp32 on the CPU, over as many threads as at::set_num_threads
// was given. They go to the BLAS that LibTorch itself is linked with, straight where its sgemm_ can
// be found in the process (a call costs under 1 us, an at::mm_out with its views 5 to 20), else
// through at::mm. The same shapes and threads give the same bits.
#pragma once

#include <cstdint>

namespace longhaul::trainer {

struct Matrix {  // a view: not an owner
  float* data;
  std::int64_t rows, columns, stride;  // stride: elements from one row to the next
  Matrix(float* at, std::int64_t row_count, std::int64_t column_count)
      : data(at), rows(row_count), columns(column_count), stride(column_count) {}
  Matrix(float* at, std::int64_t row_count, std::int64_t column_count, std::int64_t step)
      : data(at), rows(row_count), columns(column_count), stride(step) {}
  Matrix row_range(std::int64_t first, std::int64_t count) const {
    return {data + first * stride, count, columns, stride};
  }
  Matrix column_range(std::int64_t first, std::int64_t count) const {
    return {data + first, rows, count, stride};
  }
};

enum class Into : std::uint8_t { kReplace, kAdd };
enum class Products : std::uint8_t {
  kFloat,
  // Both factors rounded to bf16 (nearest, ties to even), sums in fp32, each result rounded to
  // bf16: what autocast does. Through oneDNN on CPUs with AVX-512, else by fp32 products of the
  // rounded.
  kBfloat16,
};

// out = a b^T, [n, k] x [m, k]: a layer forwards, b its weight.
void multiply_transposed(const Matrix& out, const Matrix& a, const Matrix& b, Into into,
                         Products products = Products::kFloat);
// out = a b, [n, k] x [k, m]: a layer backwards, to its input.
void multiply(const Matrix& out, const Matrix& a, const Matrix& b, Into into,
              Products products = Products::kFloat);
// out = a^T b, [k, n] x [k, m]: a layer backwards, to its weight.
void multiply_left_transposed(const Matrix& out, const Matrix& a, const Matrix& b, Into into,
                              Products products = Products::kFloat);

// Which one is in use, for reports: "sgemm" or "at::mm"; of bf16 "onednn" or "rounded".
const char* gemm_backend(Products products = Products::kFloat);

}  // namespace longhaul::trainer
