// Where the tensors lie in a safetensors file: u64 header length, JSON header, then the tensors'
// bytes. Parsed strictly: tensors must fill the data exactly, without gap or overlap, and agree
// with their shapes. Whoever gets an error cuts the file by content instead; nothing is lost but
// some ratio. Pure; any thread.
//
//   const auto header_bytes = TRY(safetensors_header_bytes(first_8_bytes, file_size));
//   const auto layout = TRY(parse_safetensors(bytes_from_8_on.first(header_bytes), file_size));
//   for (const TensorChunk& chunk : tensor_chunks(layout)) ..
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "compression/chunker.hpp"
#include "lib/base/bytes.hpp"

namespace longhaul::compression {

inline constexpr std::uint64_t kMaxTensorHeaderBytes = 32U << 20;
inline constexpr std::size_t kMaxTensors = 1U << 18;
inline constexpr std::size_t kMaxTensorRank = 32;
inline constexpr std::size_t kMaxTensorNameBytes = 1024;

struct Tensor {
  std::string name;        // between its quotes, escapes as they stand: fit to compare, not to show
  std::string_view dtype;  // "BF16": static storage
  std::uint8_t plane_bytes;  // width of what plane codecs should split: 1, 2, 4 or 8
  std::uint64_t begin;       // in the file
  std::uint64_t bytes;
  std::vector<std::uint64_t> shape{};
};
struct TensorLayout {
  std::uint64_t file_bytes = 0;
  std::uint64_t data_begin = 0;
  std::vector<Tensor> tensors;  // by begin; together they cover [data_begin, file_bytes)
};

// What the first 8 bytes say, checked against the file's size and kMaxTensorHeaderBytes.
Result<std::uint64_t> safetensors_header_bytes(Bytes first_8, std::uint64_t file_bytes);
Result<TensorLayout> parse_safetensors(Bytes json, std::uint64_t file_bytes);

struct TensorChunk {
  std::uint64_t begin;
  std::uint32_t bytes;       // 1 to kMaxChunkBytes
  std::uint8_t plane_bytes;  // 1 for the header
  bool operator==(const TensorChunk&) const = default;
};
// Fixed chunks that cover the file. A tensor of kMinChunkBytes or more starts one; runs of smaller
// ones of one width share chunks of at most kAverageChunkBytes. Like the chunker's cuts these never
// change.
std::vector<TensorChunk> tensor_chunks(const TensorLayout& layout);

}  // namespace longhaul::compression
