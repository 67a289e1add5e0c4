#include "trainer/cuda/launch.cuh"
#include "trainer/cuda/paged.hpp"

namespace longhaul::trainer::cuda {

template <class T>
void run(Stream stream, const RopeAndKeep<T>& work) {
  launch_rows(stream, work, "RoPE into the pool");
}
template <class T>
void run(Stream stream, const PagedAttention<T>& work) {
  launch_rows(stream, work, "attention over the pool", work.scratch_floats(kThreads));
}

template void run(Stream, const RopeAndKeep<float>&);
template void run(Stream, const RopeAndKeep<Bfloat16>&);
template void run(Stream, const PagedAttention<float>&);
template void run(Stream, const PagedAttention<Bfloat16>&);

}  // namespace longhaul::trainer::cuda
