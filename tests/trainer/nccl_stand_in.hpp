// A stand-in for the calls of NCCL and of CUDA's runtime that nccl_collectives.cpp makes, so that
// its waits, errors and aborts can be tested without a GPU. A rank is the GPU of its number, and a
// GPU's memory is the host's. A stream does what it was given, in order, when it is asked how far
// it is; a collective is done there when every rank's stream has come to it. What would hang or
// crash in NCCL or CUDA is written down as a misuse. A CUDA call that does not succeed is its
// thread's last error until cudaGetLastError(). Any thread.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace longhaul::nccl_stand_in {

inline constexpr int kNever = 1 << 30;

struct Rules {              // of one rank
  int polls = 0;            // until a call that has only begun is done; 0: it is done at once
  bool loses_peer = false;  // the communicator's asynchronous error says so from now on
  std::string fails{};      // the call of this name does
};

void begin(std::uint64_t ranks, const Rules& rules);  // and forgets all that was
void set(std::uint64_t rank, const Rules& rules);
// "sum of 3 f32", "broadcast of 2 f32 from 1", in the order in which `rank` launched them.
std::vector<std::string> launches(std::uint64_t rank);
int aborts(std::uint64_t rank);
std::vector<std::string> misuses();
// What the next launch of this thread would report, whatever had caused it; looking keeps it.
bool leaves_an_error();
int held();  // streams, memory, communicators and groups that were not given back

}  // namespace longhaul::nccl_stand_in
