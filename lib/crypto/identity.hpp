// Identity: a node's Ed25519 key and the certificate it shows, which follows from the key alone:
// self-signed, empty subject, dates that mean nothing. Peers know each other by the pin, the
// SHA-256 of the key's SubjectPublicKeyInfo. A value; the secret is wiped when it dies, never
// logged, and leaves it only through pem().
#pragma once

#include <array>
#include <span>
#include <string>
#include <string_view>

#include "lib/base/bytes.hpp"
#include "lib/crypto/digest.hpp"

namespace longhaul::crypto {

using Pin = Digest;

class Identity {
 public:
  static constexpr std::size_t kSecretBytes = 32;
  static Identity generate();  // from the operating system's entropy
  // The key that these bytes are: from an entropy port, or a seed in a test.
  static Identity from_entropy(std::span<const std::byte, kSecretBytes> entropy);
  // As pem() wrote it; kMalformed for anything else, also for another kind of key.
  static Result<Identity> from_pem(std::string_view pem);
  Identity(const Identity&) = default;
  Identity& operator=(const Identity&) = default;
  ~Identity();

  const Pin& pin() const { return pin_; }
  Bytes certificate() const { return certificate_; }  // DER
  std::string pem() const;  // PKCS #8, not encrypted: the file it goes to must be 0600
  std::span<const std::byte, kSecretBytes> secret() const { return secret_; }

 private:
  Identity() = default;
  std::array<std::byte, kSecretBytes> secret_{};
  ByteVector certificate_;
  Pin pin_;
};

}  // namespace longhaul::crypto
