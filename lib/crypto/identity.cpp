#include "lib/crypto/identity.hpp"

#include <openssl/pem.h>
#include <openssl/rand.h>

#include "lib/crypto/kdf.hpp"
#include "lib/crypto/openssl_ptr.hpp"

namespace longhaul::crypto {
namespace {

constexpr std::size_t kPemBytesMax = 4096;

KeyPtr key_of(Bytes secret) {
  return KeyPtr(
      made(EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr, raw(secret), secret.size())));
}

Pin pin_of(EVP_PKEY* key) {
  unsigned char* der = nullptr;
  const int size = i2d_PUBKEY(key, &der);
  const TextPtr owner(der);
  made(size > 0);
  return sha256(std::as_bytes(std::span<const unsigned char>(der, static_cast<std::size_t>(size))));
}

// X.509 wants dates and a serial number. These follow from the key, so that one key has one
// certificate, byte for byte; nobody judges them.
ByteVector certificate_of(EVP_PKEY* key, const Pin& pin) {
  const X509Ptr certificate(made(X509_new()));
  X509* x509 = certificate.get();
  bool fine = X509_set_version(x509, X509_VERSION_3) == 1;
  const std::uint64_t serial = load_be<std::uint64_t>(pin.bytes()) >> 1;  // positive
  fine = fine && ASN1_INTEGER_set_uint64(X509_get_serialNumber(x509), serial) == 1;
  fine = fine && ASN1_TIME_set_string(X509_getm_notBefore(x509), "19700101000000Z") == 1;
  fine = fine && ASN1_TIME_set_string(X509_getm_notAfter(x509), "99991231235959Z") == 1;
  fine = fine && X509_set_pubkey(x509, key) == 1;
  fine = fine && X509_sign(x509, key, nullptr) > 0;  // Ed25519: deterministic, its own hash
  const int size = i2d_X509(x509, nullptr);
  made(fine && size > 0);
  ByteVector der(static_cast<std::size_t>(size));
  unsigned char* out = raw(MutableBytes(der));
  ASSERT(i2d_X509(x509, &out) == size);
  return der;
}

int no_passphrase(char*, int, int, void*) {
  return -1;  // an encrypted file is refused; nobody is asked at the terminal
}

}  // namespace

Identity Identity::generate() {
  std::array<std::byte, kSecretBytes> entropy;
  ASSERT(RAND_priv_bytes(raw(MutableBytes(entropy)), static_cast<int>(entropy.size())) == 1);
  Identity identity = from_entropy(entropy);
  wipe(entropy);
  return identity;
}

Identity Identity::from_entropy(std::span<const std::byte, kSecretBytes> entropy) {
  Identity identity;
  std::copy(entropy.begin(), entropy.end(), identity.secret_.begin());
  const KeyPtr key = key_of(entropy);
  identity.pin_ = pin_of(key.get());
  identity.certificate_ = certificate_of(key.get(), identity.pin_);
  return identity;
}

Result<Identity> Identity::from_pem(std::string_view pem) {
  if (pem.size() > kPemBytesMax) return fail(Kind::kMalformed, "read a private key", "too long");
  const BioPtr in(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  const KeyPtr key(PEM_read_bio_PrivateKey(in.get(), nullptr, no_passphrase, nullptr));
  if (key == nullptr) return fail(Kind::kMalformed, "read a private key", "not a key in PEM");
  std::array<std::byte, kSecretBytes> secret;
  std::size_t size = secret.size();
  if (EVP_PKEY_get_id(key.get()) != EVP_PKEY_ED25519 ||
      EVP_PKEY_get_raw_private_key(key.get(), raw(MutableBytes(secret)), &size) != 1) {
    return fail(Kind::kMalformed, "read a private key", "not an Ed25519 key");
  }
  Identity identity = from_entropy(secret);
  wipe(secret);
  return identity;
}

std::string Identity::pem() const {
  const KeyPtr key = key_of(secret_);
  const BioPtr out(made(BIO_new(BIO_s_secmem())));
  made(PEM_write_bio_PrivateKey(out.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr));
  char* text = nullptr;
  const long size = BIO_get_mem_data(out.get(), &text);
  return std::string(text, static_cast<std::size_t>(size));
}

Identity::~Identity() {
  wipe(secret_);
}

}  // namespace longhaul::crypto
