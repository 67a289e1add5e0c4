// Any bytes as a safetensors file. A layout that is accepted must give chunks that cover the file.
#include "compression/safetensors.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace longhaul;
  using namespace longhaul::compression;
  const Bytes file = std::as_bytes(std::span(data, size));
  const auto header_bytes = safetensors_header_bytes(file, file.size());
  if (!header_bytes) return 0;
  const auto layout = parse_safetensors(file.subspan(8, *header_bytes), file.size());
  if (!layout) return 0;
  std::uint64_t at = 0;
  for (const TensorChunk& chunk : tensor_chunks(*layout)) {
    ASSERT(chunk.begin == at && chunk.bytes > 0 && chunk.bytes <= kMaxChunkBytes);
    at += chunk.bytes;
  }
  ASSERT(at == file.size());
  return 0;
}
