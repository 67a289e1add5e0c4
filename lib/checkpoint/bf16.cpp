#include "lib/checkpoint/bf16.hpp"

#include <fmt/format.h>

#include "compression/json_walker.hpp"
#include "compression/safetensors.hpp"

namespace longhaul::checkpoint {
namespace {

constexpr std::size_t kLengthBytes = 8;

// The original's metadata as it stands, its strings unresolved: readers ask for "format".
Result<std::string> metadata_of(Bytes json_bytes) {
  compression::JsonWalker json(text_of(json_bytes), "read a safetensors header");
  std::string out;
  const auto on_string = [&](std::string_view key) -> Result<> {
    const std::string_view value = TRY(json.string());
    out += fmt::format("{}\"{}\":\"{}\"", out.empty() ? "" : ",", key, value);
    return {};
  };
  const auto on_number = [&]() -> Result<> {
    TRY(json.number());
    return {};
  };
  const auto on_field = [&](std::string_view key) -> Result<> {
    if (key != "dtype") return json.array(on_number);
    TRY(json.string());
    return {};
  };
  const auto on_tensor = [&](std::string_view name) -> Result<> {
    return name == "__metadata__" ? json.object(on_string) : json.object(on_field);
  };
  TRY(json.object(on_tensor));
  return out;
}

std::string entry_of(const compression::Tensor& tensor, std::uint64_t begin, std::uint64_t bytes,
                     bool rounded) {
  return fmt::format(R"("{}":{{"dtype":"{}","shape":[{}],"data_offsets":[{},{}]}})", tensor.name,
                     rounded ? "BF16" : tensor.dtype, fmt::join(tensor.shape, ","), begin,
                     begin + bytes);
}

}  // namespace

Result<Bf16Layout> bf16_layout(Bytes json, std::uint64_t file_bytes) {
  const auto original = TRY(compression::parse_safetensors(json, file_bytes));
  const std::string metadata = TRY(metadata_of(json));
  Bf16Layout layout;
  std::string header = "{";
  if (!metadata.empty()) header += "\"__metadata__\":{" + metadata + "}";
  std::uint64_t data = 0;  // made so far
  for (const compression::Tensor& tensor : original.tensors) {
    const bool rounded = tensor.dtype == "F32";
    const std::uint64_t bytes = rounded ? tensor.bytes / 2 : tensor.bytes;
    if (header.size() > 1) header += ",";
    header += entry_of(tensor, data, bytes, rounded);
    layout.parts.push_back({tensor.begin, data, bytes, rounded});
    layout.rounds = layout.rounds || (rounded && bytes > 0);
    data += bytes;
  }
  header += "}";
  header.resize((header.size() + kLengthBytes - 1) / kLengthBytes * kLengthBytes, ' ');
  if (header.size() > compression::kMaxTensorHeaderBytes)
    return fail(Kind::kLimit, "round weights to bf16", "the header is too large");
  layout.head.resize(kLengthBytes + header.size());
  store_le<std::uint64_t>(layout.head, header.size());
  std::copy_n(bytes_of(header).begin(), header.size(), layout.head.begin() + kLengthBytes);
  for (Bf16Part& part : layout.parts) part.to += layout.head.size();
  layout.bytes = layout.head.size() + data;
  return layout;
}

void round_to_bf16(Bytes in, MutableBytes out) {
  ASSERT(in.size() == 2 * out.size() && out.size() % 2 == 0);
  for (std::size_t i = 0; i < out.size(); i += 2) {
    const auto bits = load_le<std::uint32_t>(in.subspan(2 * i));
    const bool nan = (bits & 0x7fffffffU) > 0x7f800000U;
    const std::uint32_t near = bits + 0x7fffU + ((bits >> 16) & 1U);
    const std::uint32_t value = nan ? (bits >> 16) | 0x40U : near >> 16;
    store_le<std::uint16_t>(out.subspan(i), static_cast<std::uint16_t>(value));
  }
}

}  // namespace longhaul::checkpoint
