// Safetensors files on disk: read by name with every offset checked first (the header's rules are
// compression/safetensors.hpp's), written whole. Blocks; any thread.
#pragma once

#include <span>
#include <string>
#include <utility>
#include <vector>

#include "compression/safetensors.hpp"
#include "trainer/posix_file.hpp"

namespace longhaul::trainer {

class SafetensorsFile {
 public:
  static Result<SafetensorsFile> open(const Path& path);
  const std::vector<compression::Tensor>& tensors() const { return layout_.tensors; }
  const compression::Tensor* find(std::string_view name) const;  // nullptr if there is none
  // `count` elements from element `first` on, as fp32; from F32, BF16 and F16, else kUnsupported.
  Result<> read_floats(const compression::Tensor& tensor, std::uint64_t first,
                       std::span<float> out) const;
  Result<> read_bytes(const compression::Tensor& tensor, MutableBytes out) const;

 private:
  SafetensorsFile(File file, compression::TensorLayout layout)
      : file_(std::move(file)), layout_(std::move(layout)) {}
  File file_;
  compression::TensorLayout layout_;
};

struct TensorToWrite {
  std::string name;
  std::string dtype;  // "F32", "BF16", "I64", "U8"
  std::vector<std::uint64_t> shape;
  std::uint64_t bytes;
  std::span<const float> floats;  // F32 or BF16 (rounded to nearest even) are made from these
  Bytes raw;                      // for other dtypes
};
// A tensor of fp32 values to be stored as `dtype`, F32 or BF16.
TensorToWrite floats_to_write(std::string name, std::string dtype, std::vector<std::uint64_t> shape,
                              std::span<const float> values);
// Writes and syncs the file; the caller puts it in place.
Result<> write_safetensors(const Path& path, std::span<const TensorToWrite> tensors,
                           const std::vector<std::pair<std::string, std::string>>& metadata);

std::uint16_t to_bf16(float value);  // nearest even; a NaN stays one
float from_bf16(std::uint16_t bits);
float from_f16(std::uint16_t bits);

}  // namespace longhaul::trainer
