#include "trainer/cuda/launch.cuh"
#include "trainer/cuda/loss.hpp"

namespace longhaul::trainer::cuda {

template <class T>
void run(Stream stream, const CrossEntropy<T>& work) {
  launch_rows(stream, work, "cross-entropy");
}

template void run(Stream, const CrossEntropy<float>&);
template void run(Stream, const CrossEntropy<Bfloat16>&);

}  // namespace longhaul::trainer::cuda
