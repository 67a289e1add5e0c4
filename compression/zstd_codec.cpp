#include "compression/zstd_codec.hpp"

#include <zstd.h>
#include <zstd_errors.h>

#include "compression/dictionary.hpp"
#include "lib/base/out_of_memory.hpp"

namespace longhaul::compression {
namespace {

constexpr const char* kAttempt = "decode a zstd frame";

// Any error but a full `out` would be a bug here or a broken libzstd.
std::optional<std::size_t> written(std::size_t result) {
  if (ZSTD_isError(result) == 0) return result;
  if (ZSTD_getErrorCode(result) == ZSTD_error_memory_allocation) out_of_memory();
  ASSERT(ZSTD_getErrorCode(result) == ZSTD_error_dstSize_tooSmall);
  return std::nullopt;
}

void set(ZSTD_CCtx* context, ZSTD_cParameter parameter, int value) {
  ASSERT(ZSTD_isError(ZSTD_CCtx_setParameter(context, parameter, value)) == 0);
}

// Reads the frame header (RFC 8878, 3.1.1.1) and refuses what our encoder never writes.
Result<> check_header(Bytes frame, std::size_t promised) {
  constexpr std::uint32_t kMagic = 0xFD2FB528;
  if (frame.size() < 6 || load_le<std::uint32_t>(frame) != kMagic)
    return fail(Kind::kMalformed, kAttempt, "not a zstd frame");
  const auto descriptor = std::to_integer<unsigned>(frame[4]);
  if ((descriptor & 0x18U) != 0) return fail(Kind::kMalformed, kAttempt, "reserved bits are set");
  if ((descriptor & 0x03U) != 0)
    return fail(Kind::kMalformed, kAttempt, "names a dictionary by zstd's own number");
  const bool single_segment = (descriptor & 0x20U) != 0;
  std::size_t at = 5;
  if (!single_segment) {
    const unsigned window_log = 10 + (std::to_integer<unsigned>(frame[at++]) >> 3);
    if (window_log > kMaxWindowLog) return fail(Kind::kLimit, kAttempt, "window too large");
  }
  const unsigned size_flag = descriptor >> 6;
  if (size_flag == 0 && !single_segment)
    return fail(Kind::kMalformed, kAttempt, "does not say its size");
  if (ZSTD_getFrameContentSize(frame.data(), frame.size()) != promised)
    return fail(Kind::kMalformed, kAttempt, "claims another size than was promised");
  return {};
}

Result<> check_whole(Bytes frame, std::size_t promised) {
  TRY(check_header(frame, promised));
  if (ZSTD_findFrameCompressedSize(frame.data(), frame.size()) != frame.size())
    return fail(Kind::kMalformed, kAttempt, "cut short, or followed by more");
  return {};
}

Result<> judge(std::size_t result, std::size_t promised) {
  if (ZSTD_isError(result) != 0)
    return fail(Kind::kMalformed, kAttempt, std::string(ZSTD_getErrorName(result)));
  if (result != promised) return fail(Kind::kMalformed, kAttempt, "shorter than was promised");
  return {};
}

}  // namespace

ZstdEncoder::ZstdEncoder() : context_(ZSTD_createCCtx()) {
  if (context_ == nullptr) out_of_memory();
}
ZstdEncoder::~ZstdEncoder() = default;
void ZstdEncoder::Free::operator()(ZSTD_CCtx_s* context) const noexcept {
  ZSTD_freeCCtx(context);
}

std::optional<std::size_t> ZstdEncoder::compress(Bytes in, MutableBytes out) {
  ASSERT(in.size() <= std::size_t{1} << kMaxWindowLog);
  set(context_.get(), ZSTD_c_dictIDFlag, 0);
  return written(ZSTD_compress2(context_.get(), out.data(), out.size(), in.data(), in.size()));
}

std::optional<std::size_t> ZstdEncoder::encode(Bytes in, int level, MutableBytes out) {
  ASSERT(level >= kMinZstdLevel && level <= kMaxZstdLevel);
  ZSTD_CCtx_reset(context_.get(), ZSTD_reset_session_and_parameters);
  set(context_.get(), ZSTD_c_compressionLevel, level);
  return compress(in, out);
}

std::optional<std::size_t> ZstdEncoder::encode(Bytes in, const Dictionary& dictionary,
                                               MutableBytes out) {
  ZSTD_CCtx_reset(context_.get(), ZSTD_reset_session_and_parameters);
  ASSERT(ZSTD_isError(ZSTD_CCtx_refCDict(context_.get(), dictionary.for_encoding())) == 0);
  return compress(in, out);
}

std::optional<std::size_t> ZstdEncoder::encode_plane(Bytes in, MutableBytes out) {
  ZSTD_CCtx_reset(context_.get(), ZSTD_reset_session_and_parameters);
  set(context_.get(), ZSTD_c_compressionLevel, 1);
  set(context_.get(), ZSTD_c_minMatch, 7);
  set(context_.get(), ZSTD_c_hashLog, 6);
  return compress(in, out);
}

std::size_t zstd_bound(std::size_t in_bytes) {
  return ZSTD_compressBound(in_bytes);
}

ZstdDecoder::ZstdDecoder() : context_(ZSTD_createDCtx()) {
  if (context_ == nullptr) out_of_memory();
}
ZstdDecoder::~ZstdDecoder() = default;
void ZstdDecoder::Free::operator()(ZSTD_DCtx_s* context) const noexcept {
  ZSTD_freeDCtx(context);
}

Result<> ZstdDecoder::decode(Bytes frame, MutableBytes out) {
  TRY(check_whole(frame, out.size()));
  return judge(
      ZSTD_decompressDCtx(context_.get(), out.data(), out.size(), frame.data(), frame.size()),
      out.size());
}

Result<> ZstdDecoder::decode(Bytes frame, const Dictionary& dictionary, MutableBytes out) {
  TRY(check_whole(frame, out.size()));
  return judge(ZSTD_decompress_usingDDict(context_.get(), out.data(), out.size(), frame.data(),
                                          frame.size(), dictionary.for_decoding()),
               out.size());
}

}  // namespace longhaul::compression
