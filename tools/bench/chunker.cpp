// chunker [--json]: content-defined cuts on one core, beside memcpy and OpenSSL's SHA-256 of the
// same bytes in the same run. Bar: 1.5 GB/s. 64 MiB a run, so that caches do not help.
#include "compression/chunker.hpp"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <string_view>

#include "lib/base/rng.hpp"
#include "tools/bench/measure.hpp"

namespace {

using namespace longhaul;

constexpr std::size_t kBytes = 64U << 20;
constexpr int kRounds = 9;

ByteVector random_input() {
  ByteVector bytes(kBytes);
  Rng(1, "bench.chunker").fill(bytes);
  return bytes;
}

ByteVector text_input() {  // log lines: short repeats, few byte values
  Rng rng(2, "bench.chunker");
  ByteVector bytes;
  bytes.reserve(kBytes + 128);
  while (bytes.size() < kBytes)
    append(bytes, bytes_of(fmt::format("step {} loss {}.{} tok/s {}\n", rng.below(100'000),
                                       rng.below(10), rng.below(10'000), rng.below(1'000'000))));
  bytes.resize(kBytes);
  return bytes;
}

bench::Rate rate_of_cuts(Bytes input, std::size_t& chunks) {
  return bench::measure_rate(input.size(), kRounds, [&] {
    const auto cuts = compression::cut_offsets(input);
    chunks = cuts.size();
    bench::keep(cuts);
  });
}

bench::Rate rate_of_sha256(Bytes input) {  // by chunks of the average size, as the product hashes
  return bench::measure_rate(input.size(), kRounds, [&] {
    for (std::size_t at = 0; at < input.size(); at += compression::kAverageChunkBytes) {
      unsigned char digest[EVP_MAX_MD_SIZE];
      EVP_Digest(input.data() + at, compression::kAverageChunkBytes, digest, nullptr, EVP_sha256(),
                 nullptr);
      bench::keep(digest);
    }
  });
}

bench::Rate rate_of_memcpy(Bytes input) {
  ByteVector copy(input.size());
  return bench::measure_rate(input.size(), kRounds, [&] {
    std::memcpy(copy.data(), input.data(), input.size());
    bench::keep(copy);
  });
}

}  // namespace

int main(int argc, char** argv) {
  const bool json = argc > 1 && std::string_view(argv[1]) == "--json";
  const ByteVector random = random_input();
  const ByteVector text = text_input();
  const ByteVector zeros(kBytes);
  std::size_t random_chunks = 0;
  std::size_t text_chunks = 0;
  std::size_t zero_chunks = 0;
  const auto on_random = rate_of_cuts(random, random_chunks);
  const auto on_text = rate_of_cuts(text, text_chunks);
  const auto on_zeros = rate_of_cuts(zeros, zero_chunks);
  const auto sha256 = rate_of_sha256(random);
  const auto copy = rate_of_memcpy(random);
  if (json) {
    fmt::print(
        "{{\"bench\":\"chunker\",\"unit\":\"GB/s\",\"random\":{:.3f},\"random_median\":{:.3f},"
        "\"text\":{:.3f},\"text_median\":{:.3f},\"zeros\":{:.3f},\"mean_chunk_bytes\":{},"
        "\"text_mean_chunk_bytes\":{},\"sha256\":{:.3f},\"memcpy\":{:.3f},\"bar\":1.5,"
        "\"met\":{}}}\n",
        on_random.best_gb_per_s(), on_random.median_gb_per_s(), on_text.best_gb_per_s(),
        on_text.median_gb_per_s(), on_zeros.best_gb_per_s(), kBytes / random_chunks,
        kBytes / text_chunks, sha256.best_gb_per_s(), copy.best_gb_per_s(),
        on_random.median_gb_per_s() >= 1.5 && on_text.median_gb_per_s() >= 1.5);
    return 0;
  }
  const auto row = [](std::string_view name, bench::Rate rate, std::string_view note) {
    fmt::print("{:<18} {:6.2f} {:8.2f}  {}\n", name, rate.best_gb_per_s(), rate.median_gb_per_s(),
               note);
  };
  fmt::print("{:<18} {:>6} {:>8}  (GB/s, one core, {} MiB)\n", "", "best", "median", kBytes >> 20);
  row("cuts, random", on_random, fmt::format("mean chunk {} bytes", kBytes / random_chunks));
  row("cuts, log text", on_text, fmt::format("mean chunk {} bytes", kBytes / text_chunks));
  row("cuts, zeros", on_zeros, fmt::format("mean chunk {} bytes", kBytes / zero_chunks));
  row("SHA-256, OpenSSL", sha256, "per 64 KiB");
  row("memcpy", copy, "");
  return 0;
}
