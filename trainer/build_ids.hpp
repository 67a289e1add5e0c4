// What this process computes with, named by content: the build-ids that linkers leave in programs
// and libraries, read from memory. Where a file has none, its size stands for it.
#pragma once

#include <map>
#include <string>

namespace longhaul::trainer {

std::string own_build_id();  // of the program itself; "none"
// Of the libraries at hand whose code decides about bits (LibTorch, BLAS, oneDNN, OpenMP, libm,
// sums over ranks, CUDA), by their files' names.
std::map<std::string, std::string> library_ids();

}  // namespace longhaul::trainer
