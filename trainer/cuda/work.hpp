// What a kernel is here: a struct of raw pointers and sizes, the work, whose call operator does one
// part of it. Two kinds:
//
//   elements   std::int64_t elements() const;  void operator()(std::int64_t i) const;
//              each i on its own
//   rows       std::int64_t rows() const;  void operator()(Team& team, std::int64_t row) const;
//              a team of threads shares a row: it takes every size()-th place from rank() on and
//              meets in sum() and most(), which give every thread the same bits
//
// run(stream, work), declared beside each work, launches it on the GPU and returns at once; what
// goes wrong is thrown as std::runtime_error. run_on_host(work) does the same on one thread: it is
// how the bodies are tested where there is no GPU. Pointers are memory of the GPU, or of the host
// for run_on_host; nothing is kept. One stream's works run in order.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "trainer/cuda/element.hpp"

struct CUstream_st;  // what CUDA's cudaStream_t points to

namespace longhaul::trainer::cuda {

using Stream = CUstream_st*;

// Floats that a team has for a row, of its own: of the 48 KiB that a GPU's block has without asking
// for more, a little is for its meetings.
inline constexpr std::int64_t kScratchFloats = 12 * 1024 - 64;

class Alone {  // a team of one, on the host
 public:
  int rank() const { return 0; }
  int size() const { return 1; }
  float sum(float value) const { return value; }
  float most(float value) const { return value; }
  float* scratch() { return scratch_.data(); }

 private:
  std::vector<float> scratch_ = std::vector<float>(static_cast<std::size_t>(kScratchFloats));
};

template <class Work>
void run_on_host(const Work& work) requires requires {
  work.elements();
}
{
  for (std::int64_t i = 0; i < work.elements(); ++i) work(i);
}
template <class Work>
void run_on_host(const Work& work) requires requires {
  work.rows();
}
{
  Alone team;
  for (std::int64_t row = 0; row < work.rows(); ++row) work(team, row);
}

}  // namespace longhaul::trainer::cuda
