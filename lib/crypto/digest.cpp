#include "lib/crypto/digest.hpp"

#include "lib/crypto/openssl_ptr.hpp"

namespace longhaul::crypto {
namespace {

// Fetched once: a fetch by name at each digest costs more than hashing a kilobyte. Never freed,
// because jobs may still hash while statics are destroyed.
const EVP_MD* algorithm() {
  static const EVP_MD* const fetched = made(EVP_MD_fetch(nullptr, "SHA256", nullptr));
  return fetched;
}

void start(EVP_MD_CTX* context) {
  made(EVP_DigestInit_ex2(context, algorithm(), nullptr));
}

}  // namespace

Result<Digest> Digest::from_hex(std::string_view hex) {
  if (hex.size() != 2 * kSize) return fail(Kind::kMalformed, "read a digest", "not 64 digits");
  const auto raw = TRY(longhaul::from_hex(hex));
  return Digest(std::span<const std::byte, kSize>(raw));
}

void Sha256::Free::operator()(evp_md_ctx_st* context) const noexcept {
  EVP_MD_CTX_free(context);
}

Sha256::Sha256() : context_(made(EVP_MD_CTX_new())) {
  start(context_.get());
}

void Sha256::update(Bytes more) {
  ASSERT(EVP_DigestUpdate(context_.get(), more.data(), more.size()) == 1);
}

Digest Sha256::finish() {
  Digest digest;
  const auto out = digest.writable();
  ASSERT(EVP_DigestFinal_ex(context_.get(), reinterpret_cast<unsigned char*>(out.data()),
                            nullptr) == 1);
  start(context_.get());
  return digest;
}

Digest sha256(Bytes bytes) {
  Digest digest;
  const auto out = digest.writable();
  made(EVP_Digest(bytes.data(), bytes.size(), reinterpret_cast<unsigned char*>(out.data()), nullptr,
                  algorithm(), nullptr));
  return digest;
}

}  // namespace longhaul::crypto
