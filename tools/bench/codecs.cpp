// codecs [--json]: ratio, encode and decode rate of each rung on synthetic weights, tokens, text
// and noise, on one core, by chunks of 256 KiB as the product cuts them. Peer in the same run:
// plain zstd at level 1 and 9.
#include <fmt/format.h>

#include <cmath>
#include <string>
#include <string_view>
#include <vector>

#include "compression/byte_planes.hpp"
#include "compression/chunker.hpp"
#include "compression/dictionary.hpp"
#include "compression/ladder.hpp"
#include "lib/base/rng.hpp"
#include "tools/bench/measure.hpp"

namespace {

using namespace longhaul;
using namespace longhaul::compression;

constexpr std::size_t kBytes = 16U << 20;
constexpr int kRounds = 3;

class Normals {  // Box-Muller
 public:
  explicit Normals(std::uint64_t seed) : rng_(seed, "bench.normals") {}
  float draw(double deviation) {
    const double radius = std::sqrt(-2 * std::log(1 - rng_.unit()));
    return static_cast<float>(deviation * radius * std::cos(2 * 3.141592653589793 * rng_.unit()));
  }

 private:
  Rng rng_;
};

// Weights of deviation 0.02, and the same after an update of 0.1 % of that: two checkpoints of one
// run.
struct Checkpoints {
  ByteVector before, after;
};

Checkpoints weights(std::size_t element_bytes) {
  Normals normals(1);
  Checkpoints made{ByteVector(kBytes), ByteVector(kBytes)};
  const auto put = [&](ByteVector& out, std::size_t at, float value) {
    const auto bits = std::bit_cast<std::uint32_t>(value);
    if (element_bytes == 2)
      store_le(MutableBytes(out).subspan(at), static_cast<std::uint16_t>(bits >> 16));
    else
      store_le(MutableBytes(out).subspan(at), bits);
  };
  for (std::size_t at = 0; at < kBytes; at += element_bytes) {
    const float value = normals.draw(0.02);
    put(made.before, at, value);
    put(made.after, at, value + normals.draw(0.00002));
  }
  return made;
}

ByteVector tokens() {  // log-uniform below 50257, about as word frequencies fall
  Rng rng(2, "bench.tokens");
  ByteVector out(kBytes);
  for (std::size_t at = 0; at < kBytes; at += 2)
    store_le(MutableBytes(out).subspan(at),
             static_cast<std::uint16_t>(std::exp(rng.unit() * std::log(50257.0))));
  return out;
}

ByteVector text() {  // log-uniform words of a vocabulary of 5000
  Rng rng(3, "bench.text");
  std::vector<std::string> words(5000);
  for (std::string& word : words)
    for (std::uint64_t letters = rng.between(2, 9); letters > 0; --letters)
      word.push_back(static_cast<char>('a' + rng.below(26)));
  ByteVector out;
  while (out.size() < kBytes) {
    const double rank = std::exp(rng.unit() * std::log(5000.0)) - 1;
    append(out, bytes_of(words[static_cast<std::size_t>(rank)]));
    append(out, bytes_of(rng.chance(0.1) ? "\n" : " "));
  }
  out.resize(kBytes);
  return out;
}

ByteVector noise() {
  ByteVector out(kBytes);
  Rng(4, "bench.noise").fill(out);
  return out;
}

struct Figures {
  std::string data;
  std::string rung;
  double ratio;
  bench::Rate encode, decode;
};

struct Shared {  // what both sides hold, and the piece that is encoded at a time
  Bytes base;
  const Dictionary* dictionary = nullptr;
  std::size_t chunk_bytes = kMaxChunkBytes;
};

Figures measure(std::string_view data_name, Bytes data, Rung rung, const Shared& shared) {
  Encoder encoder;
  Decoder decoder;
  const std::size_t chunk_bytes = shared.chunk_bytes;
  const std::size_t chunks = kBytes / chunk_bytes;
  const std::size_t room = encoded_bound(rung.codec, chunk_bytes);
  ByteVector bodies(chunks * room);
  std::vector<std::size_t> sizes(chunks);
  const auto reference = [&](std::size_t chunk) {
    const Bytes base = shared.base;
    return Reference{base.empty() ? base : base.subspan(chunk * chunk_bytes, chunk_bytes),
                     shared.dictionary};
  };
  const auto encode = bench::measure_rate(kBytes, kRounds, [&] {
    for (std::size_t i = 0; i < chunks; ++i)
      sizes[i] = encoder
                     .encode(rung.codec, data.subspan(i * chunk_bytes, chunk_bytes), reference(i),
                             MutableBytes(bodies).subspan(i * room, room), rung.level)
                     .value();
  });
  ByteVector out(chunk_bytes);
  bool right = true;
  const auto decode = bench::measure_rate(kBytes, kRounds, [&] {
    for (std::size_t i = 0; i < chunks; ++i)
      right =
          decoder.decode(rung.codec, Bytes(bodies).subspan(i * room, sizes[i]), reference(i), out)
              .has_value() &&
          right;
  });
  ASSERT(right && equal(out, data.last(chunk_bytes)));
  std::size_t total = 0;
  for (const std::size_t size : sizes) total += std::min(size, chunk_bytes);
  std::string name(name_of(rung.codec));
  if (rung.codec == Codec::kZstd) name += fmt::format("-{}", rung.level);
  return {std::string(data_name), std::move(name),
          static_cast<double>(kBytes) / static_cast<double>(total), encode, decode};
}

void measure_planes(std::vector<Figures>& all) {  // the transform alone
  const ByteVector in = noise();
  ByteVector out(kBytes);
  for (const std::size_t width : {2U, 4U, 8U}) {
    const auto split = bench::measure_rate(kBytes, 9, [&] {
      for (std::size_t at = 0; at < kBytes; at += kMaxChunkBytes)
        split_planes(Bytes(in).subspan(at, kMaxChunkBytes), width,
                     MutableBytes(out).subspan(at, kMaxChunkBytes));
    });
    const auto merge = bench::measure_rate(kBytes, 9, [&] {
      for (std::size_t at = 0; at < kBytes; at += kMaxChunkBytes)
        merge_planes(Bytes(in).subspan(at, kMaxChunkBytes), width,
                     MutableBytes(out).subspan(at, kMaxChunkBytes));
    });
    all.push_back({"any", fmt::format("split{} alone", width), 1, split, merge});
  }
}

void measure_small_files(std::vector<Figures>& all, Bytes words) {
  constexpr std::size_t kFileBytes = 2048;
  std::vector<Bytes> files;
  for (std::size_t at = 0; at < words.size(); at += 4 * kFileBytes)  // every fourth file teaches
    files.push_back(words.subspan(at, kFileBytes));
  const auto trained = train_dictionary(files).value();
  const Dictionary dictionary = Dictionary::make(trained, {}).value();
  Shared shared;
  shared.chunk_bytes = kFileBytes;
  all.push_back(measure("text, 2 KiB", words, {Codec::kZstd}, shared));
  shared.dictionary = &dictionary;
  all.push_back(measure("text, 2 KiB", words, {Codec::kZstdDictionary}, shared));
}

std::vector<Figures> measure_all() {
  std::vector<Figures> all;
  measure_planes(all);
  for (const std::size_t width : {2U, 4U}) {
    const std::string_view name = width == 2 ? "bf16" : "f32";
    const Checkpoints steps = weights(width);
    for (const Rung rung : {Rung{Codec::kZstd}, Rung{Codec::kZstd, 9}, Rung{planes_codec(width)}})
      all.push_back(measure(name, steps.after, rung, {}));
    all.push_back(measure(name, steps.after, {xor_codec(width)}, {steps.before}));
  }
  const ByteVector ids = tokens();
  for (const Rung rung : {Rung{Codec::kZstd}, Rung{Codec::kZstd, 9}, Rung{Codec::kPlanes2Zstd}})
    all.push_back(measure("tokens u16", ids, rung, {}));
  const ByteVector words = text();
  for (const int level : {1, 3, 6, 9, 12})
    all.push_back(measure("text", words, {Codec::kZstd, level}, {}));
  measure_small_files(all, words);
  const ByteVector random = noise();
  for (const Rung rung : {Rung{Codec::kRaw}, Rung{Codec::kZstd}, Rung{Codec::kPlanes2Zstd}})
    all.push_back(measure("random", random, rung, {}));
  return all;
}

}  // namespace

int main(int argc, char** argv) {
  const bool json = argc > 1 && std::string_view(argv[1]) == "--json";
  const std::vector<Figures> all = measure_all();
  if (json) {
    std::string rows;
    for (const Figures& f : all)
      rows += fmt::format(
          "{}{{\"data\":\"{}\",\"rung\":\"{}\",\"ratio\":{:.3f},\"encode\":{:.3f},\"decode\":{:.3f}"
          "}}",
          rows.empty() ? "" : ",", f.data, f.rung, f.ratio, f.encode.best_gb_per_s(),
          f.decode.best_gb_per_s());
    fmt::print("{{\"bench\":\"codecs\",\"unit\":\"GB/s\",\"chunk_bytes\":{},\"rows\":[{}]}}\n",
               kMaxChunkBytes, rows);
    return 0;
  }
  fmt::print("{:<11} {:<18} {:>6} {:>8} {:>8}  (GB/s of original bytes, one core, best of {})\n",
             "data", "rung", "ratio", "encode", "decode", kRounds);
  for (const Figures& f : all)
    fmt::print("{:<11} {:<18} {:6.2f} {:8.2f} {:8.2f}\n", f.data, f.rung, f.ratio,
               f.encode.best_gb_per_s(), f.decode.best_gb_per_s());
  return 0;
}
