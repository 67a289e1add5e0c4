/* Of CUDA's runtime, what nccl_collectives.cpp names, for machines without the toolkit: its test
   (nccl_test.cpp) is built against this where the real header is missing, and defines the calls. */
#pragma once

#include <stddef.h>

enum cudaError { cudaSuccess = 0, cudaErrorNotReady = 600, cudaErrorLaunchFailure = 719 };
enum cudaMemcpyKind { cudaMemcpyHostToDevice = 1, cudaMemcpyDeviceToHost = 2 };
enum { cudaStreamNonBlocking = 1 };
using cudaError_t = cudaError;
using cudaStream_t = struct CUstream_st*;

extern "C" {
cudaError_t cudaSetDevice(int device);
cudaError_t cudaMalloc(void** at, size_t bytes);
cudaError_t cudaFree(void* at);
cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned int flags);
cudaError_t cudaStreamDestroy(cudaStream_t stream);
cudaError_t cudaStreamQuery(cudaStream_t stream);
cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t stream);
cudaError_t cudaGetLastError(void);
const char* cudaGetErrorString(cudaError_t code);
}
