#include "trainer/serving/row_products.hpp"

#include <cstddef>

#if defined(__GNUC__) && !defined(__clang__) && defined(__x86_64__)
#define LONGHAUL_CLONES [[gnu::target_clones("arch=skylake-avx512", "arch=haswell", "default")]]
#else
#define LONGHAUL_CLONES
#endif

namespace longhaul::trainer {
namespace {

constexpr std::int64_t kLanes = 16, kRowsAtOnce = 4;

// Rows at once share the loads of w; each keeps 16 sums of its own, added at the end in order.
template <std::int64_t kRows>
[[gnu::always_inline]] inline void some_rows(const RowProducts& work, std::int64_t row,
                                             std::int64_t column) {
  float lanes[static_cast<std::size_t>(kRows)][kLanes] = {};
  const float* w = work.w + column * work.width;
  const float* x = work.x + row * work.width;
  std::int64_t i = 0;
  for (; i + kLanes <= work.width; i += kLanes)
    for (std::int64_t r = 0; r < kRows; ++r)
      for (std::int64_t k = 0; k < kLanes; ++k) lanes[r][k] += x[r * work.width + i + k] * w[i + k];
  for (std::int64_t k = 0; i < work.width; ++i, ++k)
    for (std::int64_t r = 0; r < kRows; ++r) lanes[r][k] += x[r * work.width + i] * w[i];
  for (std::int64_t r = 0; r < kRows; ++r) {
    float sum = 0;
    for (std::int64_t k = 0; k < kLanes; ++k) sum += lanes[r][k];
    work.out[(row + r) * work.columns + column] = sum;
  }
}

}  // namespace

LONGHAUL_CLONES
void row_products(const RowProducts& work, std::int64_t first_column, std::int64_t count) {
  for (std::int64_t column = first_column; column < first_column + count; ++column) {
    std::int64_t row = 0;
    for (; row + kRowsAtOnce <= work.rows; row += kRowsAtOnce)
      some_rows<kRowsAtOnce>(work, row, column);
    for (; row < work.rows; ++row) some_rows<1>(work, row, column);
  }
}

}  // namespace longhaul::trainer
