#include "trainer/cuda/launch.cuh"
#include "trainer/cuda/steps.hpp"

namespace longhaul::trainer::cuda {

template <class T>
void run(Stream stream, const GradientSum<T>& work) {
  launch_elements(stream, work, "a sum of gradients");
}
void run(Stream stream, const SquareSums& work) {
  launch_rows(stream, work, "a sum of squares");
}
void run(Stream stream, const Verdict& work) {
  launch_elements(stream, work, "the verdict on a gradient");
}
template <class T>
void run(Stream stream, const AdamwStep<T>& work) {
  launch_elements(stream, work, "AdamW's step");
}
template <class T>
void run(Stream stream, const SignStep<T>& work) {
  launch_elements(stream, work, "the sign rule's step");
}
template <class T>
void run(Stream stream, const WorkingCopy<T>& work) {
  launch_elements(stream, work, "the working copy");
}
void run(Stream stream, const HeavyTailedNoise& work) {
  launch_elements(stream, work, "noise");
}

template void run(Stream, const GradientSum<float>&);
template void run(Stream, const GradientSum<Bfloat16>&);
template void run(Stream, const AdamwStep<float>&);
template void run(Stream, const AdamwStep<Bfloat16>&);
template void run(Stream, const SignStep<float>&);
template void run(Stream, const SignStep<Bfloat16>&);
template void run(Stream, const WorkingCopy<float>&);
template void run(Stream, const WorkingCopy<Bfloat16>&);

}  // namespace longhaul::trainer::cuda
