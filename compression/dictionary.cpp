#include "compression/dictionary.hpp"

#include <zdict.h>
#include <zstd.h>

#include <algorithm>

namespace longhaul::compression {
namespace {

constexpr int kLevel = 3;  // small files: the table is warm, so level 3 costs hardly more than 1
constexpr std::size_t kMinSamples = 16;
constexpr std::size_t kMinDictionaryBytes = 1024;

}  // namespace

Result<ByteVector> train_dictionary(std::span<const Bytes> samples, std::size_t max_bytes) {
  constexpr const char* kAttempt = "train a dictionary";
  ASSERT(max_bytes <= kMaxDictionaryBytes);
  ByteVector joined;
  std::vector<std::size_t> sizes;
  for (const Bytes sample : samples) {
    const Bytes part = sample.first(std::min(sample.size(), kMaxSampleBytes));
    if (part.empty()) continue;
    if (joined.size() + part.size() > kMaxTrainingBytes) break;
    append(joined, part);
    sizes.push_back(part.size());
  }
  // A dictionary larger than a tenth of what it was trained on repeats the samples rather than
  // learns.
  const std::size_t wanted = std::min(max_bytes, joined.size() / 10);
  if (sizes.size() < kMinSamples || wanted < kMinDictionaryBytes)
    return fail(Kind::kUsage, kAttempt, "too few samples");
  ByteVector dictionary(wanted);
  const std::size_t size =
      ZDICT_trainFromBuffer(dictionary.data(), dictionary.size(), joined.data(), sizes.data(),
                            static_cast<unsigned>(sizes.size()));
  if (ZDICT_isError(size) != 0)
    return fail(Kind::kUsage, kAttempt, std::string(ZDICT_getErrorName(size)));
  dictionary.resize(size);
  return dictionary;
}

Result<Dictionary> Dictionary::make(Bytes bytes, const DictionaryDigest& digest) {
  constexpr const char* kAttempt = "load a dictionary";
  if (bytes.size() > kMaxDictionaryBytes) return fail(Kind::kLimit, kAttempt, "too large");
  // Without a number zstd would take any bytes as raw content; ours are always trained.
  if (ZDICT_getDictID(bytes.data(), bytes.size()) == 0)
    return fail(Kind::kMalformed, kAttempt, "not a zstd dictionary");
  Dictionary made;
  made.digest_ = digest;
  made.encoding_.reset(ZSTD_createCDict(bytes.data(), bytes.size(), kLevel));
  made.decoding_.reset(ZSTD_createDDict(bytes.data(), bytes.size()));
  if (made.encoding_ == nullptr || made.decoding_ == nullptr)
    return fail(Kind::kMalformed, kAttempt, "its tables are broken");
  return made;
}

void Dictionary::Free::operator()(ZSTD_CDict_s* dictionary) const noexcept {
  ZSTD_freeCDict(dictionary);
}
void Dictionary::Free::operator()(ZSTD_DDict_s* dictionary) const noexcept {
  ZSTD_freeDDict(dictionary);
}

}  // namespace longhaul::compression
