#include "lib/crypto/aead.hpp"

#include <openssl/evp.h>
#if defined(__aarch64__)
#include <sys/auxv.h>
#endif

#include <algorithm>
#include <limits>

#include "lib/crypto/openssl_ptr.hpp"

namespace longhaul::crypto {
namespace {

int length_of(Bytes bytes) {
  ASSERT(bytes.size() <= static_cast<std::size_t>(std::numeric_limits<int>::max()));
  return static_cast<int>(bytes.size());
}

detail::CipherContext keyed(Aead aead, Bytes key, int sealing) {
  ASSERT(key.size() == key_bytes(aead));
  detail::CipherContext context(made(EVP_CIPHER_CTX_new()));
  const EVP_CIPHER* cipher = aead == Aead::kAes128Gcm ? EVP_aes_128_gcm() : EVP_chacha20_poly1305();
  made(EVP_CipherInit_ex2(context.get(), cipher, raw(key), nullptr, sealing, nullptr));
  return context;
}

}  // namespace

bool has_fast_aes() {
#if defined(__x86_64__) || defined(__i386__)
  return __builtin_cpu_supports("aes") != 0;
#elif defined(__aarch64__) && defined(__linux__)
  constexpr unsigned long kHwcapAes = 1UL << 3;
  return (getauxval(AT_HWCAP) & kHwcapAes) != 0;
#else
  return true;
#endif
}

void detail::FreeCipher::operator()(evp_cipher_ctx_st* context) const noexcept {
  EVP_CIPHER_CTX_free(context);
}

Sealer::Sealer(Aead aead, Bytes key) : context_(keyed(aead, key, 1)) {}

void Sealer::seal(Nonce nonce, Bytes header, MutableBytes text_and_tag) {
  ASSERT(text_and_tag.size() >= kTagBytes);
  EVP_CIPHER_CTX* context = context_.get();
  const MutableBytes text = text_and_tag.first(text_and_tag.size() - kTagBytes);
  int done = 0;
  bool fine = EVP_EncryptInit_ex2(context, nullptr, nullptr, raw(nonce), nullptr) == 1;
  fine = fine && EVP_EncryptUpdate(context, nullptr, &done, raw(header), length_of(header)) == 1;
  fine = fine && EVP_EncryptUpdate(context, raw(text), &done, raw(text), length_of(text)) == 1;
  fine = fine && EVP_EncryptFinal_ex(context, raw(text.subspan(text.size())), &done) == 1;
  fine = fine && EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, kTagBytes,
                                     raw(text_and_tag.last(kTagBytes))) == 1;
  ASSERT(fine);  // only a wrong use of the library can fail here
}

Opener::Opener(Aead aead, Bytes key) : context_(keyed(aead, key, 0)) {}

std::optional<MutableBytes> Opener::open(Nonce nonce, Bytes header, MutableBytes text_and_tag) {
  const auto size = open_into(nonce, header, text_and_tag, text_and_tag);
  if (!size.has_value()) return std::nullopt;
  return text_and_tag.first(*size);
}

std::optional<std::size_t> Opener::open_into(Nonce nonce, Bytes header, Bytes text_and_tag,
                                             MutableBytes out) {
  if (text_and_tag.size() < kTagBytes) return std::nullopt;
  EVP_CIPHER_CTX* context = context_.get();
  const Bytes text = text_and_tag.first(text_and_tag.size() - kTagBytes);
  ASSERT(out.size() >= text.size());
  std::array<std::byte, kTagBytes> tag;  // the library's interface is not const
  std::copy_n(text_and_tag.end() - kTagBytes, kTagBytes, tag.begin());
  int done = 0;
  bool fine = EVP_DecryptInit_ex2(context, nullptr, nullptr, raw(nonce), nullptr) == 1;
  fine = fine && EVP_DecryptUpdate(context, nullptr, &done, raw(header), length_of(header)) == 1;
  fine = fine && EVP_DecryptUpdate(context, raw(out), &done, raw(text), length_of(text)) == 1;
  fine = fine && EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, kTagBytes,
                                     raw(MutableBytes(tag))) == 1;
  fine = fine && EVP_DecryptFinal_ex(context, raw(out.subspan(text.size())), &done) == 1;
  if (!fine) return std::nullopt;
  return text.size();
}

HeaderMask::HeaderMask(Aead aead, Bytes key) : aead_(aead), context_(made(EVP_CIPHER_CTX_new())) {
  ASSERT(key.size() == key_bytes(aead));
  const EVP_CIPHER* cipher = aead == Aead::kAes128Gcm ? EVP_aes_128_ecb() : EVP_chacha20();
  made(EVP_EncryptInit_ex2(context_.get(), cipher, raw(key), nullptr, nullptr));
  made(EVP_CIPHER_CTX_set_padding(context_.get(), 0));
}

std::array<std::byte, HeaderMask::kMaskBytes> HeaderMask::of(
    std::span<const std::byte, kSampleBytes> sample) {
  std::array<std::byte, kSampleBytes> out{};
  int done = 0;
  bool fine = true;
  if (aead_ == Aead::kAes128Gcm) {
    fine = EVP_EncryptUpdate(context_.get(), raw(MutableBytes(out)), &done, raw(sample),
                             length_of(sample)) == 1;
  } else {  // counter and nonce are the sample, as the library's initialisation vector is laid out
    const std::array<std::byte, kMaskBytes> zeros{};
    fine = EVP_EncryptInit_ex2(context_.get(), nullptr, nullptr, raw(sample), nullptr) == 1;
    fine = fine && EVP_EncryptUpdate(context_.get(), raw(MutableBytes(out)), &done, raw(zeros),
                                     length_of(zeros)) == 1;
  }
  ASSERT(fine);
  std::array<std::byte, kMaskBytes> mask;
  std::copy_n(out.begin(), kMaskBytes, mask.begin());
  return mask;
}

}  // namespace longhaul::crypto
