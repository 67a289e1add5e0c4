// Block: up to 1 MiB of chunks as one message: header, then their bytes encoded together by the
// codec a ladder chose. Many small files share a block, so that they compress like one. Free
// functions over bytes; any thread.
#pragma once

#include "compression/ladder.hpp"
#include "lib/wire/transfer.hpp"

namespace longhaul::transfer {

struct EncodedBlock {
  Slice message;
  std::uint64_t payload_bytes = 0;  // what the rung made of it, even if raw was sent
};

// Fills codec, raw_bytes and payload; raw if the rung does not shrink it.
EncodedBlock encode_block(wire::Block header, Slice raw, compression::Rung rung);

// The chunks' bytes: exactly header.raw_bytes. `base` as the header names it, or empty.
Result<Slice> decode_block(const wire::Block& block, Bytes base);

}  // namespace longhaul::transfer
