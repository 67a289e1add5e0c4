// Dictionary: what many small files have in common, so that each alone still compresses. Trained by
// the sender, sent once, named by a digest that its caller computed over its bytes. What is encoded
// with it carries the digest's first 8 bytes, and another dictionary refuses it; zstd's own
// dictionary numbers are not used. Immutable once made; any number of threads may use one.
#pragma once

#include <array>
#include <memory>
#include <span>
#include <vector>

#include "lib/base/bytes.hpp"

struct ZSTD_CDict_s;
struct ZSTD_DDict_s;

namespace longhaul::compression {

inline constexpr std::size_t kMaxDictionaryBytes = 112U << 10;
inline constexpr std::size_t kMaxTrainingBytes = 8U << 20;  // what lies beyond is not looked at
inline constexpr std::size_t kMaxSampleBytes = 64U << 10;   // of one file
inline constexpr std::size_t kDictionaryTagBytes = 8;

using DictionaryDigest = std::array<std::byte, 32>;

// Bytes for Dictionary::make, at most max_bytes. kUsage if the samples are too few or too alike to
// teach anything: send those files without one. Takes about 0.1 s per MiB: a Job.
Result<ByteVector> train_dictionary(std::span<const Bytes> samples,
                                    std::size_t max_bytes = kMaxDictionaryBytes);

class Dictionary {
 public:
  // kLimit if too large, kMalformed if it is no dictionary of zstd's format. The caller has checked
  // `digest` against `bytes`.
  static Result<Dictionary> make(Bytes bytes, const DictionaryDigest& digest);

  Bytes tag() const { return Bytes(digest_).first(kDictionaryTagBytes); }
  const DictionaryDigest& digest() const { return digest_; }
  const ZSTD_CDict_s* for_encoding() const { return encoding_.get(); }
  const ZSTD_DDict_s* for_decoding() const { return decoding_.get(); }

 private:
  struct Free {
    void operator()(ZSTD_CDict_s* dictionary) const noexcept;
    void operator()(ZSTD_DDict_s* dictionary) const noexcept;
  };
  Dictionary() = default;
  DictionaryDigest digest_{};
  std::unique_ptr<ZSTD_CDict_s, Free> encoding_;
  std::unique_ptr<ZSTD_DDict_s, Free> decoding_;
};

}  // namespace longhaul::compression
