// Safetensors files for tests, put together by the format's own rules.
#pragma once

#include <bit>
#include <string>
#include <vector>

#include "lib/base/bytes.hpp"
#include "lib/base/rng.hpp"

namespace longhaul::test {

struct MadeTensor {
  std::string name, dtype, shape;  // shape: "2,3"
  ByteVector data;
};

inline ByteVector safetensors(const std::vector<MadeTensor>& tensors,
                              const std::string& metadata = R"({"format":"pt"})") {
  std::string header = metadata.empty() ? "{" : R"({"__metadata__":)" + metadata;
  std::size_t at = 0;
  for (const MadeTensor& tensor : tensors) {
    if (header.size() > 1) header += ",";
    header += "\"" + tensor.name + R"(":{"dtype":")" + tensor.dtype + R"(","shape":[)" +
              tensor.shape + R"(],"data_offsets":[)" + std::to_string(at) + "," +
              std::to_string(at + tensor.data.size()) + "]}";
    at += tensor.data.size();
  }
  header += "}";
  ByteVector out(8);
  store_le<std::uint64_t>(out, header.size());
  append(out, bytes_of(header));
  for (const MadeTensor& tensor : tensors) append(out, tensor.data);
  return out;
}

inline ByteVector floats(Rng& rng, std::size_t count) {
  ByteVector out(4 * count);
  for (std::size_t i = 0; i < count; ++i) {
    const float value = static_cast<float>(static_cast<double>(rng.below(2'000'001)) * 1e-6 - 1.0);
    store_le<std::uint32_t>(MutableBytes(out).subspan(4 * i), std::bit_cast<std::uint32_t>(value));
  }
  return out;
}

}  // namespace longhaul::test
