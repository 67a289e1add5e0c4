#include "compression/safetensors.hpp"

#include <algorithm>
#include <array>
#include <limits>
#include <optional>
#include <tuple>
#include <utility>

#include "compression/json_walker.hpp"

namespace longhaul::compression {
namespace {

constexpr const char* kAttempt = "read a safetensors header";
constexpr std::uint64_t kLengthBytes = 8;

struct Dtype {
  std::string_view name;
  unsigned bits;
  std::uint8_t plane_bytes;
};
constexpr std::array<Dtype, 21> kDtypes = {
    {{"BF16", 16, 2},      {"F16", 16, 2},    {"F32", 32, 4}, {"F64", 64, 8},    {"C64", 64, 4},
     {"I8", 8, 1},         {"U8", 8, 1},      {"I16", 16, 2}, {"U16", 16, 2},    {"I32", 32, 4},
     {"U32", 32, 4},       {"I64", 64, 8},    {"U64", 64, 8}, {"BOOL", 8, 1},    {"F8_E4M3", 8, 1},
     {"F8_E5M2", 8, 1},    {"F8_E8M0", 8, 1}, {"F4", 4, 1},   {"F6_E2M3", 6, 1}, {"F6_E3M2", 6, 1},
     {"F8_E4M3FNUZ", 8, 1}}};

tl::unexpected<Error> malformed(std::string why) {
  return fail(Kind::kMalformed, kAttempt, std::move(why));
}

// One tensor's entry while it is read; offsets still count from the data's begin.
struct Entry {
  const Dtype* dtype = nullptr;
  std::optional<std::uint64_t> elements;
  std::optional<std::array<std::uint64_t, 2>> offsets;
  std::vector<std::uint64_t> shape;
};

Result<> read_dtype(JsonWalker& json, Entry& entry) {
  const std::string_view name = TRY(json.string());
  const auto* found =
      std::find_if(kDtypes.begin(), kDtypes.end(), [&](const Dtype& d) { return d.name == name; });
  if (found == kDtypes.end()) return fail(Kind::kUnsupported, kAttempt, "unknown dtype");
  entry.dtype = found;
  return {};
}

Result<> read_shape(JsonWalker& json, Entry& entry) {
  std::uint64_t elements = 1;
  const auto on_item = [&]() -> Result<> {
    const std::uint64_t size = TRY(json.number());
    if (entry.shape.size() == kMaxTensorRank)
      return fail(Kind::kLimit, kAttempt, "too many dimensions");
    if (__builtin_mul_overflow(elements, size, &elements)) return malformed("absurd shape");
    entry.shape.push_back(size);
    return {};
  };
  TRY(json.array(on_item));
  entry.elements = elements;
  return {};
}

Result<> read_offsets(JsonWalker& json, Entry& entry) {
  std::array<std::uint64_t, 2> offsets{};
  std::size_t count = 0;
  const auto on_item = [&]() -> Result<> {
    const std::uint64_t offset = TRY(json.number());
    if (count == 2) return malformed("more than two offsets");
    offsets[count++] = offset;
    return {};
  };
  TRY(json.array(on_item));
  if (count != 2) return malformed("less than two offsets");
  entry.offsets = offsets;
  return {};
}

Result<Entry> read_entry(JsonWalker& json) {
  Entry entry;
  const auto on_key = [&](std::string_view key) -> Result<> {
    if (key == "dtype" && entry.dtype == nullptr) return read_dtype(json, entry);
    if (key == "shape" && !entry.elements) return read_shape(json, entry);
    if (key == "data_offsets" && !entry.offsets) return read_offsets(json, entry);
    return malformed("a key unknown or twice");
  };
  TRY(json.object(on_key));
  if (entry.dtype == nullptr || !entry.elements || !entry.offsets)
    return malformed("a tensor lacks dtype, shape or data_offsets");
  return entry;
}

Result<Tensor> placed(std::string_view name, const Entry& entry, std::uint64_t data_begin,
                      std::uint64_t data_bytes) {
  const auto [begin, end] = *entry.offsets;
  if (begin > end || end > data_bytes) return malformed("a tensor lies outside the file");
  std::uint64_t bits = 0;
  if (__builtin_mul_overflow(*entry.elements, std::uint64_t{entry.dtype->bits}, &bits) ||
      bits % 8 != 0 || bits / 8 != end - begin)
    return malformed("a tensor's shape and length disagree");
  return Tensor{std::string(name),  entry.dtype->name, entry.dtype->plane_bytes,
                data_begin + begin, end - begin,       entry.shape};
}

Result<> read_metadata(JsonWalker& json) {  // strings only, of no use here
  const auto on_key = [&](std::string_view) -> Result<> {
    TRY(json.string());
    return {};
  };
  return json.object(on_key);
}

Result<> check_cover(const TensorLayout& layout) {
  std::uint64_t at = layout.data_begin;
  for (const Tensor& tensor : layout.tensors) {
    if (tensor.begin != at) return malformed("tensors overlap or leave a gap");
    at += tensor.bytes;
  }
  if (at != layout.file_bytes) return malformed("bytes behind the last tensor");
  return {};
}

Result<> check_names(const TensorLayout& layout) {
  std::vector<std::string_view> names;
  names.reserve(layout.tensors.size());
  for (const Tensor& tensor : layout.tensors) names.push_back(tensor.name);
  std::sort(names.begin(), names.end());
  if (std::adjacent_find(names.begin(), names.end()) != names.end())
    return malformed("two tensors of one name");
  return {};
}

}  // namespace

Result<std::uint64_t> safetensors_header_bytes(Bytes first_8, std::uint64_t file_bytes) {
  if (first_8.size() < kLengthBytes || file_bytes < kLengthBytes) return malformed("cut short");
  const auto header = load_le<std::uint64_t>(first_8);
  if (header > kMaxTensorHeaderBytes) return fail(Kind::kLimit, kAttempt, "header too large");
  if (header < 2 || header > file_bytes - kLengthBytes)
    return malformed("header length does not fit the file");
  return header;
}

Result<TensorLayout> parse_safetensors(Bytes json_bytes, std::uint64_t file_bytes) {
  if (json_bytes.size() > kMaxTensorHeaderBytes)
    return fail(Kind::kLimit, kAttempt, "header too large");
  TensorLayout layout;
  layout.file_bytes = file_bytes;
  layout.data_begin = kLengthBytes + json_bytes.size();
  if (file_bytes < layout.data_begin) return malformed("cut short");
  JsonWalker json(text_of(json_bytes), kAttempt);
  bool metadata = false;
  const auto on_tensor = [&](std::string_view name) -> Result<> {
    if (name == "__metadata__") {
      if (std::exchange(metadata, true)) return malformed("metadata twice");
      return read_metadata(json);
    }
    if (name.size() > kMaxTensorNameBytes) return fail(Kind::kLimit, kAttempt, "name too long");
    if (layout.tensors.size() == kMaxTensors)
      return fail(Kind::kLimit, kAttempt, "too many tensors");
    const Entry entry = TRY(read_entry(json));
    layout.tensors.push_back(
        TRY(placed(name, entry, layout.data_begin, file_bytes - layout.data_begin)));
    return {};
  };
  TRY(json.object(on_tensor));
  TRY(json.end());
  std::sort(layout.tensors.begin(), layout.tensors.end(), [](const Tensor& a, const Tensor& b) {
    return std::tie(a.begin, a.bytes, a.name) < std::tie(b.begin, b.bytes, b.name);
  });
  TRY(check_cover(layout));
  TRY(check_names(layout));
  return layout;
}

std::vector<TensorChunk> tensor_chunks(const TensorLayout& layout) {
  std::vector<TensorChunk> chunks;
  const auto add = [&](std::uint64_t begin, std::uint64_t bytes, std::uint8_t plane_bytes) {
    for (std::uint64_t at = 0; at < bytes; at += kMaxChunkBytes)
      chunks.push_back(
          {begin + at,
           static_cast<std::uint32_t>(std::min<std::uint64_t>(bytes - at, kMaxChunkBytes)),
           plane_bytes});
  };
  add(0, layout.data_begin, 1);
  bool open = false;  // the last chunk holds small tensors and may take another
  for (const Tensor& tensor : layout.tensors) {
    if (tensor.bytes == 0) continue;
    const bool small = tensor.bytes < kMinChunkBytes;
    if (small && open && chunks.back().plane_bytes == tensor.plane_bytes &&
        chunks.back().bytes + tensor.bytes <= kAverageChunkBytes) {
      chunks.back().bytes += static_cast<std::uint32_t>(tensor.bytes);
      continue;
    }
    add(tensor.begin, tensor.bytes, tensor.plane_bytes);
    open = small;
  }
  return chunks;
}

}  // namespace longhaul::compression
