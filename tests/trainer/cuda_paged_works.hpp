// Attention over a pool of blocks, against softmax attention written anew over plain rows.
#pragma once

#include <array>

#include "tests/trainer/cuda_work.hpp"
#include "trainer/cuda/paged.hpp"
#include "trainer/kernels.hpp"

namespace longhaul::trainer::cuda {

struct PagedShape {
  int heads, kv_heads, head_dim;
  int width() const { return (heads + 2 * kv_heads) * head_dim; }
};
struct PagedRow {
  int request, position;  // request < 0: nobody's
};

// Two requests whose rows come in several rounds, mixed with nobody's, and lie in blocks of four
// positions in no order.
template <class Where>
class CudaPaged : public CudaWork<Where> {
 protected:
  using T = typename Where::Element;
  static constexpr int kBits = 2, kBlocks = 700;

  void make(const PagedShape& of, int positions) {
    shape = of;
    cosines.resize(std::size_t(positions * of.head_dim / 2));
    sines = cosines;
    kernels::rope_table(cosines.data(), sines.data(), positions, of.head_dim, 1e4);
    cosines_there = this->machine->put(cosines);
    sines_there = this->machine->put(sines);
    // What nobody has written must not count: it is no number.
    pool = this->machine->put(
        std::vector<T>(std::size_t(kBlocks * 2 * of.kv_heads * (of.head_dim << kBits)),
                       rounded<T>(std::nanf(""))));
    std::vector<std::int32_t> table(kBlocks);
    for (int i = 0; i < kBlocks; ++i) table[std::size_t(i)] = (i * 17 + 3) % kBlocks;  // 17 and 700
    blocks = this->machine->put(table);
    for (int request = 0; request < 2; ++request)
      all[request] = this->elements(std::size_t(positions * of.width()));
  }
  // What the rows' heads give out, [rows, heads head_dim]; or the rows are only kept.
  std::vector<T> run_rows(const std::vector<PagedRow>& rows, bool attends = true) {
    const auto width = std::size_t(shape.width());
    std::vector<T> qkv;
    std::vector<std::int32_t> positions, tables;
    for (const PagedRow& row : rows) {
      positions.push_back(row.request < 0 ? -1 : row.position);
      tables.push_back(row.request == 1 ? kBlocks / 2 : 0);
      const auto& from = all[std::max(row.request, 0)];
      const auto first = from.begin() + std::ptrdiff_t(std::size_t(row.position) * width);
      qkv.insert(qkv.end(), first, first + std::ptrdiff_t(width));
    }
    const PagedRows at{this->machine->put(positions), this->machine->put(tables), blocks};
    const PagedPool<T> lies{pool, kBits, shape.kv_heads, shape.head_dim};
    const auto count = std::int64_t(rows.size());
    const std::size_t outputs = rows.size() * std::size_t(shape.heads * shape.head_dim);
    T* const there = this->machine->put(qkv);
    T* const out = this->machine->put(std::vector<T>(outputs, rounded<T>(7.0F)));
    this->machine->go(RopeAndKeep<T>{there, cosines_there, sines_there, at, lies, count,
                                     std::int64_t(width), shape.heads});
    if (!attends) return {};
    this->machine->go(
        PagedAttention<T>{there, out, at, lies, count, std::int64_t(width), shape.heads, 0.3F});
    return this->machine->get(out, outputs);
  }
  // Turned as the element it is kept as.
  reference::Values turned(int request, int position, int head) {
    const std::size_t hd = std::size_t(shape.head_dim);
    const std::size_t first =
        std::size_t(position) * std::size_t(shape.width()) + std::size_t(head) * hd;
    auto out = reference::rope(this->doubles(all[request], first, hd), position, 1e4);
    for (double& value : out) value = double(to_float(rounded<T>(float(value))));
    return out;
  }
  reference::Values expected(const PagedRow& row, int head) {
    const int kv = head / (shape.heads / shape.kv_heads);
    const auto q = turned(row.request, row.position, head);
    reference::Values weights, out(std::size_t(shape.head_dim));
    double most = -1e300, sum = 0;
    for (int p = 0; p <= row.position; ++p) {
      weights.push_back(0.3 * reference::product(q, turned(row.request, p, shape.heads + kv)));
      most = std::max(most, weights.back());
    }
    for (double& weight : weights) sum += weight = std::exp(weight - most);
    for (int p = 0; p <= row.position; ++p)
      for (std::size_t e = 0; e < out.size(); ++e)
        out[e] += weights[std::size_t(p)] / sum *
                  double(to_float(
                      all[row.request]
                         [std::size_t(p * shape.width()) +
                          std::size_t((shape.heads + shape.kv_heads + kv) * shape.head_dim) + e]));
    return out;
  }
  void expect_rows(const std::vector<PagedRow>& rows, const std::vector<T>& got) {
    const std::size_t hd = std::size_t(shape.head_dim);
    for (std::size_t r = 0; r < rows.size(); ++r)
      for (int head = 0; head < shape.heads; ++head) {
        const std::size_t first = (r * std::size_t(shape.heads) + std::size_t(head)) * hd;
        if (rows[r].request < 0) {
          for (std::size_t e = 0; e < hd; ++e) ASSERT_EQ(to_float(got[first + e]), 0.0F);
          continue;
        }
        const auto want = expected(rows[r], head);
        for (std::size_t e = 0; e < hd; ++e)
          ASSERT_NEAR(double(to_float(got[first + e])), want[e], sizeof(T) == 2 ? 3e-2 : 2e-5)
              << "row " << r << " head " << head << " element " << e;
      }
  }

  PagedShape shape{};
  std::vector<float> cosines, sines;
  float* cosines_there = nullptr;
  float* sines_there = nullptr;
  T* pool = nullptr;
  std::int32_t* blocks = nullptr;
  std::vector<T> all[2];  // qkv of every position of each request, [positions, width]
};
TYPED_TEST_SUITE_P(CudaPaged);

// Heads narrower and wider than a block's threads share out, queries that share keys.
TYPED_TEST_P(CudaPaged, IsSoftmaxAttentionOverARequestsOwnPositions) {
  for (const auto& [heads, kv_heads, head_dim] :
       {std::array{2, 2, 2}, std::array{4, 2, 10}, std::array{3, 1, 64}}) {
    this->make({heads, kv_heads, head_dim}, 40);
    for (const auto& rows :
         {std::vector<PagedRow>{{0, 0}, {0, 1}, {0, 2}, {-1, 0}, {1, 0}},
          std::vector<PagedRow>{{1, 1}, {1, 2}, {0, 3}, {0, 4}, {0, 5}, {0, 6}, {-1, 0}, {-1, 0}},
          std::vector<PagedRow>{{0, 7}, {1, 3}}})
      this->expect_rows(rows, this->run_rows(rows));
  }
}

// More positions than a team holds weights of: two pieces.
TYPED_TEST_P(CudaPaged, GoesByPiecesOverALongRequest) {
  static_assert(kPositionsAtOnce < 1400);
  this->make({1, 1, 4}, 1400);
  std::vector<PagedRow> rows;
  for (int p = 0; p < 1400; ++p) rows.push_back({0, p});
  this->run_rows(rows, false);
  rows.clear();
  for (const int p : {1022, 1023, 1024, 1025, 1399}) rows.push_back({0, p});
  this->expect_rows(rows, this->run_rows(rows));
}

// The same bits whatever other rows there are and wherever among them it stands.
TYPED_TEST_P(CudaPaged, ARowsBitsAreItsOwn) {
  this->make({4, 2, 16}, 40);
  std::vector<PagedRow> first, second;
  for (int p = 0; p < 20; ++p) first.push_back({0, p});
  for (int p = 0; p < 9; ++p) second.push_back({1, p});
  this->run_rows(first);
  this->run_rows(second);
  const auto alone = this->run_rows({{0, 20}});
  const auto among = this->run_rows({{1, 9}, {-1, 0}, {1, 10}, {0, 20}, {1, 11}});
  const std::size_t width = 4 * 16;
  this->expect_same_bits({among.begin() + 3 * width, among.begin() + 4 * width}, alone,
                         "in company");
}

REGISTER_TYPED_TEST_SUITE_P(CudaPaged, IsSoftmaxAttentionOverARequestsOwnPositions,
                            GoesByPiecesOverALongRequest, ARowsBitsAreItsOwn);

}  // namespace longhaul::trainer::cuda
