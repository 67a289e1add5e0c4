// checkpoints BEFORE AFTER [--json]: what two checkpoints of one run (safetensors files) cost on
// the wire, tensor by tensor in slices of 256 KiB: plain zstd at levels 1 and 3, byte planes, and
// planes of the XOR with the same tensor of BEFORE. Tensors of float32 are measured as they are and
// rounded to bf16 (to nearest, ties to even), as weights travel home. `xor_gain` is what XOR saves
// beside planes: the ladder wants a tenth.
#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <map>
#include <string>
#include <string_view>

#include "compression/codec.hpp"
#include "compression/safetensors.hpp"

namespace {

using namespace longhaul;
using namespace longhaul::compression;

constexpr std::size_t kSlice = 256U << 10;

Result<ByteVector> bytes_of_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return fail(Kind::kNotFound, "open " + path);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  const Bytes bytes = longhaul::bytes_of(text);
  return ByteVector(bytes.begin(), bytes.end());
}

struct Checkpoint {
  ByteVector file;
  std::map<std::string, Tensor> tensors;
  Bytes data(const Tensor& tensor) const { return Bytes(file).subspan(tensor.begin, tensor.bytes); }
};

Result<Checkpoint> read_checkpoint(const std::string& path) {
  Checkpoint out;
  out.file = TRY(bytes_of_file(path));
  if (out.file.size() < 8) return fail(Kind::kMalformed, "read " + path, "no header");
  const Bytes file(out.file);
  const auto header = TRY(safetensors_header_bytes(file.first(8), file.size()));
  auto layout = TRY(parse_safetensors(file.subspan(8, header), file.size()));
  for (Tensor& tensor : layout.tensors) out.tensors.emplace(tensor.name, std::move(tensor));
  return out;
}

ByteVector to_bf16(Bytes floats) {
  ByteVector out(floats.size() / 2);
  for (std::size_t at = 0; at + 4 <= floats.size(); at += 4) {
    const auto bits = load_le<std::uint32_t>(floats.subspan(at));
    const std::uint32_t rounded = bits + 0x7FFF + ((bits >> 16) & 1);
    store_le(MutableBytes(out).subspan(at / 2), static_cast<std::uint16_t>(rounded >> 16));
  }
  return out;
}

struct Totals {
  std::size_t bytes = 0, zstd1 = 0, zstd3 = 0, planes = 0, with_xor = 0, best = 0;
};

class Meter {
 public:
  void add(Totals& totals, Bytes before, Bytes after, std::size_t width) {
    for (std::size_t at = 0; at < after.size(); at += kSlice) {
      const Bytes slice = after.subspan(at, std::min(kSlice, after.size() - at));
      const Reference base{before.subspan(at, slice.size()), nullptr};
      const std::size_t planes = size_of(planes_codec(width), slice, {}, 1);
      const std::size_t with_xor = size_of(xor_codec(width), slice, base, 1);
      totals.bytes += slice.size();
      totals.zstd1 += size_of(Codec::kZstd, slice, {}, 1);
      totals.zstd3 += size_of(Codec::kZstd, slice, {}, 3);
      totals.planes += planes;
      totals.with_xor += with_xor;
      totals.best += std::min(planes, with_xor);
    }
  }

 private:
  std::size_t size_of(Codec codec, Bytes slice, const Reference& reference, int level) {
    room_.resize(slice.size());
    return encoder_.encode(codec, slice, reference, room_, level).value_or(slice.size());
  }
  Encoder encoder_;
  ByteVector room_;
};

void print(const char* as, const Totals& totals, bool json) {
  const auto ratio = [&](std::size_t encoded) {
    return static_cast<double>(totals.bytes) /
           static_cast<double>(std::max<std::size_t>(encoded, 1));
  };
  const double gain = 1 - static_cast<double>(totals.with_xor) /
                              static_cast<double>(std::max<std::size_t>(totals.planes, 1));
  constexpr std::string_view kLine =
      "{}: {} bytes; zstd-1 {:.3f}x, zstd-3 {:.3f}x, planes {:.3f}x, xor+planes {:.3f}x, the "
      "better "
      "of both {:.3f}x; xor saves {:.3f}\n";
  constexpr std::string_view kJson =
      R"({{"bench":"checkpoints","as":"{}","bytes":{},"zstd1":{:.3f},"zstd3":{:.3f},)"
      R"("planes":{:.3f},"xor_planes":{:.3f},"better_of_both":{:.3f},"xor_gain":{:.3f}}})"
      "\n";
  const auto put = [&](auto format) {
    fmt::print(fmt::runtime(format), as, totals.bytes, ratio(totals.zstd1), ratio(totals.zstd3),
               ratio(totals.planes), ratio(totals.with_xor), ratio(totals.best), gain);
  };
  put(json ? kJson : kLine);
}

Result<> measure(const std::string& before_path, const std::string& after_path, bool json) {
  const Checkpoint before = TRY(read_checkpoint(before_path));
  const Checkpoint after = TRY(read_checkpoint(after_path));
  Meter meter;
  Totals as_stored, as_bf16;
  for (const auto& [name, tensor] : after.tensors) {
    const auto old = before.tensors.find(name);
    if (old == before.tensors.end() || old->second.bytes != tensor.bytes || tensor.plane_bytes < 2)
      continue;
    const Bytes was = before.data(old->second), is = after.data(tensor);
    meter.add(as_stored, was, is, tensor.plane_bytes);
    if (tensor.dtype == "F32") meter.add(as_bf16, to_bf16(was), to_bf16(is), 2);
  }
  if (as_stored.bytes == 0)
    return fail(Kind::kUsage, "compare", "the files have no tensor in common");
  print("stored", as_stored, json);
  if (as_bf16.bytes > 0) print("bf16", as_bf16, json);
  return {};
}

}  // namespace

int main(int argc, char** argv) {
  const bool json = argc == 4 && std::string_view(argv[3]) == "--json";
  if (argc != 3 && !json) {
    fmt::print(stderr, "usage: checkpoints BEFORE AFTER [--json]\n");
    return 2;
  }
  const auto done = measure(argv[1], argv[2], json);
  if (!done) fmt::print(stderr, "checkpoints: {}\n", done.error().message());
  return done ? 0 : 1;
}
