// NCCL's side of the Collectives port: spans of floats are memory of the GPU cuda:LOCAL_RANK, spans
// of doubles the host's. kUnsupported in a build without NCCL.
#pragma once

#include "trainer/ranks/collectives.hpp"

namespace longhaul::trainer {

Result<std::unique_ptr<Collectives>> nccl_collectives(const Membership& membership);

}  // namespace longhaul::trainer
