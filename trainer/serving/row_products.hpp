// out[i][j] = x[i] . w[j]: a layer for a few rows, by the rows of its weight. The terms of each are
// added in an order that depends on the width alone, so a row's result does not depend on which
// other rows there are: what a request is answered does not depend on who else is served. BLAS
// promises no such thing. `columns` of w are split over threads by the caller. Pure.
#pragma once

#include <cstdint>

namespace longhaul::trainer {

struct RowProducts {
  const float* x;  // [rows, width]
  const float* w;  // [columns, width]
  float* out;      // [rows, columns]
  std::int64_t rows, width, columns;
};
void row_products(const RowProducts& work, std::int64_t first_column, std::int64_t count);
// out [width] += weights[i] * rows[i], the rows [count, width] in order.
void add_weighted(const float* rows, const float* weights, std::int64_t count, std::int64_t width,
                  float* out);

}  // namespace longhaul::trainer
