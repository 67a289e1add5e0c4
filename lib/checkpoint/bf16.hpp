// How a safetensors file with fp32 weights looks as bf16: its header, and where each of its bytes
// comes from. Tensors of other types stay as they are; order, names, shapes and metadata, too. The
// layout is a pure function of the original's header, so that a pull that was cut short can go on
// in another process. Pure; any thread.
//
//   const Bf16Layout layout = TRY(bf16_layout(json, file_bytes));
//   // bytes [0, head.size()) are layout.head; part p covers [p.to, p.to + p.bytes), made of the
//   // original from p.from on: as it is, or rounded, two bytes of four
#pragma once

#include <cstdint>
#include <vector>

#include "lib/base/bytes.hpp"
#include "lib/base/result.hpp"

namespace longhaul::checkpoint {

struct Bf16Part {
  std::uint64_t from = 0;   // in the original
  std::uint64_t to = 0;     // in what is made
  std::uint64_t bytes = 0;  // made
  bool rounded = false;
};
struct Bf16Layout {
  ByteVector head;  // length and header, padded to a multiple of 8
  std::vector<Bf16Part> parts;
  std::uint64_t bytes = 0;  // of all
  bool rounds = false;      // any part; else the file is better sent as it is
};
// json: the original's header, behind its length. kMalformed as parse_safetensors().
Result<Bf16Layout> bf16_layout(Bytes json, std::uint64_t file_bytes);

// To nearest, ties to even; what is too large becomes infinite, a NaN stays one. in: little-endian
// fp32, twice as long as out.
void round_to_bf16(Bytes in, MutableBytes out);

}  // namespace longhaul::checkpoint
