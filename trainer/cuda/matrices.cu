#include "trainer/cuda/launch.cuh"
#include "trainer/cuda/matrices.hpp"

namespace longhaul::trainer::cuda {

template <class T>
void run(Stream stream, const MuonDirection<T>& work) {
  launch_rows(stream, work, "Muon's direction");
}
void run(Stream stream, const MatrixNorms& work) {
  launch_elements(stream, work, "matrices' norms");
}
template <class T>
void run(Stream stream, const RowScaling<T>& work) {
  launch_rows(stream, work, "NorMuon's rows");
}
void run(Stream stream, const NormFactors& work) {
  launch_elements(stream, work, "NorMuon's norms");
}
template <class T>
void run(Stream stream, const UpdateStep<T>& work) {
  launch_rows(stream, work, "a matrix rule's step");
}

template void run(Stream, const MuonDirection<float>&);
template void run(Stream, const MuonDirection<Bfloat16>&);
template void run(Stream, const RowScaling<float>&);
template void run(Stream, const RowScaling<Bfloat16>&);
template void run(Stream, const UpdateStep<float>&);
template void run(Stream, const UpdateStep<Bfloat16>&);

}  // namespace longhaul::trainer::cuda
