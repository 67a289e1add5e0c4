#include "lib/crypto/aead.hpp"

#include <openssl/evp.h>
#if defined(__aarch64__)
#include <sys/auxv.h>
#endif

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
  detail::CipherContext context(EVP_CIPHER_CTX_new());
  const EVP_CIPHER* cipher = aead == Aead::kAes128Gcm ? EVP_aes_128_gcm() : EVP_chacha20_poly1305();
  ASSERT(EVP_CipherInit_ex2(context.get(), cipher, raw(key), nullptr, sealing, nullptr) == 1);
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
  if (text_and_tag.size() < kTagBytes) return std::nullopt;
  EVP_CIPHER_CTX* context = context_.get();
  const MutableBytes text = text_and_tag.first(text_and_tag.size() - kTagBytes);
  int done = 0;
  bool fine = EVP_DecryptInit_ex2(context, nullptr, nullptr, raw(nonce), nullptr) == 1;
  fine = fine && EVP_DecryptUpdate(context, nullptr, &done, raw(header), length_of(header)) == 1;
  fine = fine && EVP_DecryptUpdate(context, raw(text), &done, raw(text), length_of(text)) == 1;
  fine = fine && EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, kTagBytes,
                                     raw(text_and_tag.last(kTagBytes))) == 1;
  fine = fine && EVP_DecryptFinal_ex(context, raw(text.subspan(text.size())), &done) == 1;
  if (!fine) return std::nullopt;
  return text;
}

}  // namespace longhaul::crypto
