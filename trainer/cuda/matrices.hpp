// The matrix rules' element-wise work before and behind the products that make the polar factor
// (trainer/engine/orthogonal.hpp): a group of matrices of one shape at a time, as the flat buffer
// holds them. In order: MuonDirection, MatrixNorms, [products], [RowScaling, NormFactors: NorMuon],
// UpdateStep. Symbols as in trainer/engine/optimizer.hpp.
#pragma once

#include <cmath>

#include "trainer/cuda/steps.hpp"

namespace longhaul::trainer::cuda {

// `count` matrices of `each` elements, the k-th at k * stride of a flat buffer (whose pointer is
// that of the first matrix) and at k * each of a dense one.
struct MatrixSet {
  std::int64_t count, each, stride;

  struct Piece {
    std::int64_t matrix, begin, end;  // of the matrix's elements
  };
  LONGHAUL_BOTH std::int64_t pieces() const { return count * pieces_of(each); }
  LONGHAUL_BOTH Piece piece(std::int64_t i) const {
    const std::int64_t matrix = i / pieces_of(each), begin = i % pieces_of(each) * kPiece;
    return {matrix, begin, begin + kPiece < each ? begin + kPiece : each};
  }
};

// M <- M + (1 - b) (G - M);  U = (1 - b) G + b M (Nesterov) or M. U [count, each] is dense, of T;
// parts [pieces()] = sums of its squares, before the rounding to T. Of a refused step neither is
// written: what is made of them goes nowhere.
template <class T>
struct MuonDirection {
  const float* g;
  float* m;
  T* u;
  float* parts;
  MatrixSet set;
  float momentum;  // b
  Factor factor;   // of G, for clipping
  bool nesterov;

  std::int64_t rows() const { return set.pieces(); }
  template <class Team>
  LONGHAUL_BOTH void operator()(Team& team, std::int64_t row) const {
    const float share = factor.get();
    if (share == 0) return;
    const MatrixSet::Piece piece = set.piece(row);
    const std::int64_t flat = piece.matrix * set.stride, dense = piece.matrix * set.each;
    const float weight = 1.0F - momentum;
    float squares = 0;
    for (std::int64_t i = piece.begin + team.rank(); i < piece.end; i += team.size()) {
      const float gradient = g[flat + i] * share;
      const float mean = m[flat + i] + weight * (gradient - m[flat + i]);
      const float direction = nesterov ? weight * gradient + momentum * mean : mean;
      m[flat + i] = mean;
      u[dense + i] = rounded<T>(direction);
      squares += direction * direction;
    }
    const float all = team.sum(squares);
    if (team.rank() == 0) parts[row] = all;
  }
};

// norms[k] = ||U_k||_F, from the parts.
struct MatrixNorms {
  const float* parts;
  float* norms;
  MatrixSet set;

  std::int64_t elements() const { return set.count; }
  LONGHAUL_BOTH void operator()(std::int64_t matrix) const {
    const std::int64_t pieces = pieces_of(set.each);
    double sum = 0;
    for (std::int64_t p = 0; p < pieces; ++p)
      sum += static_cast<double>(parts[matrix * pieces + p]);
    norms[matrix] = static_cast<float>(sqrt(sum));
  }
};

// NorMuon (Li et al., arXiv 2510.05491): v <- b2 v + (1 - b2) mean(O_row^2); O_row <- O_row /
// sqrt(v), in place. before and after [rows]: the row's sums of squares.
template <class T>
struct RowScaling {
  T* o;
  float* square;  // v [rows]
  float* before;
  float* after;
  std::int64_t count, columns;  // rows of all matrices of the set
  float beta;
  Factor of_step = 1.0F;  // 0: refused

  std::int64_t rows() const { return count; }
  template <class Team>
  LONGHAUL_BOTH void operator()(Team& team, std::int64_t row) const {
    if (of_step.get() == 0) return;
    T* at = o + row * columns;
    float sum = 0;
    for (std::int64_t i = team.rank(); i < columns; i += team.size())
      sum += to_float(at[i]) * to_float(at[i]);
    const float all = team.sum(sum);
    const float mean = all / static_cast<float>(columns);
    const float kept = square[row] + (1.0F - beta) * (mean - square[row]);
    const float scale = 1.0F / (sqrtf(kept) + 1e-10F);
    float scaled = 0;
    for (std::int64_t i = team.rank(); i < columns; i += team.size()) {
      at[i] = rounded<T>(to_float(at[i]) * scale);
      scaled += to_float(at[i]) * to_float(at[i]);
    }
    const float left = team.sum(scaled);  // all have read square by now
    if (team.rank() != 0) return;
    square[row] = kept;
    before[row] = all;
    after[row] = left;
  }
};

// factors[k] = ||O_k|| before / after, which gives O its norm back; 1 of a matrix of zeros.
struct NormFactors {
  const float* before;
  const float* after;
  float* factors;
  std::int64_t count, rows_each;  // matrices, rows of each

  std::int64_t elements() const { return count; }
  LONGHAUL_BOTH void operator()(std::int64_t matrix) const {
    double was = 0, is = 0;
    for (std::int64_t r = matrix * rows_each; r < (matrix + 1) * rows_each; ++r) {
      was += static_cast<double>(before[r]);
      is += static_cast<double>(after[r]);
    }
    factors[matrix] = is > 0 ? static_cast<float>(sqrt(was / is)) : 1.0F;
  }
};

// kernels::apply_update: W <- keep W - rate (factor O); moved, where given, = the change of W.
template <class T>
struct UpdateStep {
  float* w;
  const T* o;            // dense
  const float* factors;  // [count], null: 1
  float* moved;          // null: not transported
  Reading<T> reading;    // y as flat as w
  MatrixSet set;
  float keep, rate;
  Factor of_step = 1.0F;  // 0: refused

  std::int64_t rows() const { return set.pieces(); }
  template <class Team>
  LONGHAUL_BOTH void operator()(Team& team, std::int64_t row) const {
    if (of_step.get() == 0) return;
    const MatrixSet::Piece piece = set.piece(row);
    const std::int64_t flat = piece.matrix * set.stride, dense = piece.matrix * set.each;
    const float factor = factors != nullptr ? factors[piece.matrix] : 1.0F;
    for (std::int64_t i = piece.begin + team.rank(); i < piece.end; i += team.size()) {
      const float before = w[flat + i];
      const float after = keep * before - rate * (to_float(o[dense + i]) * factor);
      w[flat + i] = after;
      if (moved != nullptr) moved[flat + i] = after - before;
      reading.write(flat + i, after, moved != nullptr ? after - before : 0.0F);
    }
  }
};

template <class T>
void run(Stream stream, const MuonDirection<T>& work);
void run(Stream stream, const MatrixNorms& work);
template <class T>
void run(Stream stream, const RowScaling<T>& work);
void run(Stream stream, const NormFactors& work);
template <class T>
void run(Stream stream, const UpdateStep<T>& work);

}  // namespace longhaul::trainer::cuda
