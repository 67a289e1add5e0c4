#include "trainer/cuda/launch.cuh"
#include "trainer/cuda/layers.hpp"

namespace longhaul::trainer::cuda {

template <class T>
void run(Stream stream, const Rope<T>& work) {
  launch_rows(stream, work, "RoPE");
}
template <class T>
void run(Stream stream, const Swiglu<T>& work) {
  launch_rows(stream, work, "SwiGLU");
}
template <class T>
void run(Stream stream, const SwigluBackward<T>& work) {
  launch_rows(stream, work, "SwiGLU's way back");
}

template void run(Stream, const Rope<float>&);
template void run(Stream, const Rope<Bfloat16>&);
template void run(Stream, const Swiglu<float>&);
template void run(Stream, const Swiglu<Bfloat16>&);
template void run(Stream, const SwigluBackward<float>&);
template void run(Stream, const SwigluBackward<Bfloat16>&);

}  // namespace longhaul::trainer::cuda
