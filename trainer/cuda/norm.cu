#include "trainer/cuda/launch.cuh"
#include "trainer/cuda/norm.hpp"

namespace longhaul::trainer::cuda {

template <class T>
void run(Stream stream, const RmsNorm<T>& work) {
  launch_rows(stream, work, "RMSNorm");
}
template <class T>
void run(Stream stream, const RmsNormAgain<T>& work) {
  launch_rows(stream, work, "RMSNorm, again");
}
template <class T>
void run(Stream stream, const RmsNormBackward<T>& work) {
  launch_rows(stream, work, "RMSNorm's way back", work.width);
}
void run(Stream stream, const SumOfParts& work) {
  launch_elements(stream, work, "a sum of parts");
}

template void run(Stream, const RmsNorm<float>&);
template void run(Stream, const RmsNorm<Bfloat16>&);
template void run(Stream, const RmsNormAgain<float>&);
template void run(Stream, const RmsNormAgain<Bfloat16>&);
template void run(Stream, const RmsNormBackward<float>&);
template void run(Stream, const RmsNormBackward<Bfloat16>&);

}  // namespace longhaul::trainer::cuda
