// One zstd frame in, one zstd frame out, with the size of both sides known to the caller. The
// decoder believes nothing the frame says: it writes only into the span it is given, which is the
// promised length, and needs no window buffer, so a frame of 30 bytes that claims 2^31 costs
// nothing. Refused besides: dictionary ids, skippable frames, a second frame, bytes behind the
// frame, a size missing or other than promised.
//
// Both hold a zstd context that is reused; one thread at a time each. docs/compression.md has the
// format.
#pragma once

#include <memory>
#include <optional>

#include "lib/base/bytes.hpp"

struct ZSTD_CCtx_s;
struct ZSTD_DCtx_s;

namespace longhaul::compression {

class Dictionary;

inline constexpr int kMinZstdLevel = 1;   // negative levels skip entropy coding: 1.00x on tensors
inline constexpr int kMaxZstdLevel = 12;  // above, a core gives less than 10 MB/s
inline constexpr unsigned kMaxWindowLog = 24;  // no block is larger than 16 MiB

class ZstdEncoder {
 public:
  ZstdEncoder();
  ~ZstdEncoder();
  ZstdEncoder(const ZstdEncoder&) = delete;
  ZstdEncoder& operator=(const ZstdEncoder&) = delete;

  // Bytes written, or nothing if the frame does not fit into `out`.
  std::optional<std::size_t> encode(Bytes in, int level, MutableBytes out);
  std::optional<std::size_t> encode(Bytes in, const Dictionary& dictionary, MutableBytes out);
  // For a byte plane: entropy coding with a match finder so small that it sees hardly more than
  // runs. False matches cost a plane of exponents both ratio (3.07x against 2.68x at level 1) and
  // two thirds of the rate.
  std::optional<std::size_t> encode_plane(Bytes in, MutableBytes out);

 private:
  std::optional<std::size_t> compress(Bytes in, MutableBytes out);
  struct Free {
    void operator()(ZSTD_CCtx_s* context) const noexcept;
  };
  std::unique_ptr<ZSTD_CCtx_s, Free> context_;
};

// At most this many bytes come out of `in_bytes`.
std::size_t zstd_bound(std::size_t in_bytes);

class ZstdDecoder {
 public:
  ZstdDecoder();
  ~ZstdDecoder();
  ZstdDecoder(const ZstdDecoder&) = delete;
  ZstdDecoder& operator=(const ZstdDecoder&) = delete;

  // Fills `out` wholly, or fails with kMalformed; what `out` holds then is undefined.
  Result<> decode(Bytes frame, MutableBytes out);
  Result<> decode(Bytes frame, const Dictionary& dictionary, MutableBytes out);

 private:
  struct Free {
    void operator()(ZSTD_DCtx_s* context) const noexcept;
  };
  std::unique_ptr<ZSTD_DCtx_s, Free> context_;
};

}  // namespace longhaul::compression
