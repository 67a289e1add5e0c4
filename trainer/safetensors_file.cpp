#include "trainer/safetensors_file.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <limits>

#include "lib/base/escape.hpp"
#include "trainer/json.hpp"

namespace longhaul::trainer {
namespace {

constexpr std::size_t kPieceFloats = 1U << 20;
constexpr std::uint64_t kAlign = 8;  // where the data begins: what other readers may map

}  // namespace

std::uint16_t to_bf16(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  if (std::isnan(value)) return static_cast<std::uint16_t>((bits >> 16) | 0x40U);
  return static_cast<std::uint16_t>((bits + 0x7fffU + ((bits >> 16) & 1U)) >> 16);
}

float from_bf16(std::uint16_t bits) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16);
}

float from_f16(std::uint16_t bits) {
  const std::uint32_t sign = (bits & 0x8000U) << 16, exponent = bits >> 10 & 0x1fU,
                      fraction = bits & 0x3ffU;
  if (exponent == 31) return std::bit_cast<float>(sign | 0x7f800000U | fraction << 13);
  if (exponent == 0) {
    const float small = std::ldexp(static_cast<float>(fraction), -24);
    return sign != 0 ? -small : small;
  }
  return std::bit_cast<float>(sign | (exponent + 112) << 23 | fraction << 13);
}

Result<SafetensorsFile> SafetensorsFile::open(const Path& path) {
  File file = TRY(File::open_to_read(path));
  const std::uint64_t bytes = TRY(file.size());
  const auto named = [&](const Error& why) {
    return fail_in(path, why, "copy the file again: it was cut short, or is no safetensors file");
  };
  std::array<std::byte, 8> first{};
  TRY(file.read_at(0, MutableBytes(first).first(std::min<std::uint64_t>(bytes, first.size()))));
  const auto header_bytes = compression::safetensors_header_bytes(
      Bytes(first).first(std::min<std::uint64_t>(bytes, first.size())), bytes);
  if (!header_bytes) return named(header_bytes.error());
  ByteVector header(*header_bytes);
  TRY(file.read_at(first.size(), header));
  auto layout = compression::parse_safetensors(header, bytes);
  if (!layout) return named(layout.error());
  return SafetensorsFile(std::move(file), *std::move(layout));
}

const compression::Tensor* SafetensorsFile::find(std::string_view name) const {
  const auto found = std::find_if(layout_.tensors.begin(), layout_.tensors.end(),
                                  [&](const auto& tensor) { return tensor.name == name; });
  return found == layout_.tensors.end() ? nullptr : &*found;
}

Result<> SafetensorsFile::read_bytes(const compression::Tensor& tensor, MutableBytes out) const {
  ASSERT(out.size() <= tensor.bytes);
  return file_.read_at(tensor.begin, out);
}

Result<> SafetensorsFile::read_floats(const compression::Tensor& tensor, std::uint64_t first,
                                      std::span<float> out) const {
  if (tensor.dtype == "F32") {
    ASSERT((first + out.size()) * 4 <= tensor.bytes);
    return file_.read_at(tensor.begin + first * 4, std::as_writable_bytes(out));
  }
  if (tensor.dtype != "BF16" && tensor.dtype != "F16")
    return fail(Error(Kind::kUnsupported, "read " + printable(file_.path().native()),
                      fmt::format("{} is {}: weights are F32, BF16 or F16",
                                  printable(tensor.name, 80), tensor.dtype))
                    .advise("save the model again in one of these"));
  ASSERT((first + out.size()) * 2 <= tensor.bytes);
  std::vector<std::uint16_t> piece;
  for (std::size_t at = 0; at < out.size(); at += piece.size()) {
    piece.resize(std::min(kPieceFloats, out.size() - at));
    TRY(file_.read_at(tensor.begin + (first + at) * 2, std::as_writable_bytes(std::span(piece))));
    for (std::size_t i = 0; i < piece.size(); ++i)
      out[at + i] = tensor.dtype == "BF16" ? from_bf16(piece[i]) : from_f16(piece[i]);
  }
  return {};
}

TensorToWrite floats_to_write(std::string name, std::string dtype, std::vector<std::uint64_t> shape,
                              std::span<const float> values) {
  ASSERT(dtype == "F32" || dtype == "BF16");
  const std::uint64_t bytes = values.size() * (dtype == "F32" ? 4U : 2U);
  return {std::move(name), std::move(dtype), std::move(shape), bytes, values, {}};
}

namespace {

std::string header_of(std::span<const TensorToWrite> tensors,
                      const std::vector<std::pair<std::string, std::string>>& metadata) {
  std::string json = "{";
  if (!metadata.empty()) {
    json += "\"__metadata__\":{";
    for (const auto& [key, value] : metadata)
      json += json_quoted(key) + ":" + json_quoted(value) + ",";
    json.back() = '}';
    json += ",";
  }
  std::uint64_t at = 0;
  for (const TensorToWrite& tensor : tensors) {
    json += fmt::format("{}:{{\"dtype\":\"{}\",\"shape\":[{}],\"data_offsets\":[{},{}]}},",
                        json_quoted(tensor.name), tensor.dtype, fmt::join(tensor.shape, ","), at,
                        at + tensor.bytes);
    at += tensor.bytes;
  }
  if (json.back() == ',') json.pop_back();
  json += "}";
  while ((8 + json.size()) % kAlign != 0) json += ' ';
  return json;
}

Result<> write_tensor(File& file, const TensorToWrite& tensor) {
  if (tensor.floats.empty()) return file.write(tensor.raw);
  if (tensor.dtype == "F32") return file.write(std::as_bytes(tensor.floats));
  std::vector<std::uint16_t> piece;
  for (std::size_t at = 0; at < tensor.floats.size(); at += piece.size()) {
    piece.resize(std::min(kPieceFloats, tensor.floats.size() - at));
    for (std::size_t i = 0; i < piece.size(); ++i) piece[i] = to_bf16(tensor.floats[at + i]);
    TRY(file.write(std::as_bytes(std::span(piece))));
  }
  return {};
}

}  // namespace

Result<> write_safetensors(const Path& path, std::span<const TensorToWrite> tensors,
                           const std::vector<std::pair<std::string, std::string>>& metadata) {
  File file = TRY(File::create(path));
  const std::string header = header_of(tensors, metadata);
  std::array<std::byte, 8> length{};
  store_le(MutableBytes(length), static_cast<std::uint64_t>(header.size()));
  TRY(file.write(length));
  TRY(file.write(bytes_of(header)));
  for (const TensorToWrite& tensor : tensors) TRY(write_tensor(file, tensor));
  return file.sync();
}

}  // namespace longhaul::trainer
