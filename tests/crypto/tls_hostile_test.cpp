// Peers that are not ours: without a key, with an old version, with another kind of key, or with
// someone in between who changes bytes. Named after the checklist: A1, A2 and U5.
#include <gtest/gtest.h>

#include "lib/base/rng.hpp"
#include "lib/crypto/openssl_ptr.hpp"
#include "tests/crypto/tls_pair.hpp"

namespace longhaul::crypto {
namespace {

// A dialler made of OpenSSL alone, against our server engine.
class Stranger {
 public:
  explicit Stranger(int version) : context_(SSL_CTX_new(TLS_client_method())) {
    SSL_CTX_set_min_proto_version(context_.get(), version);
    SSL_CTX_set_max_proto_version(context_.get(), version);
    SSL_CTX_set_verify(context_.get(), SSL_VERIFY_NONE, nullptr);
  }
  void show_p256_key() {
    const KeyPtr key(EVP_EC_gen("P-256"));
    const X509Ptr certificate(X509_new());
    X509_set_version(certificate.get(), X509_VERSION_3);
    X509_gmtime_adj(X509_getm_notBefore(certificate.get()), 0);
    X509_gmtime_adj(X509_getm_notAfter(certificate.get()), 3600);
    X509_set_pubkey(certificate.get(), key.get());
    X509_sign(certificate.get(), key.get(), EVP_sha256());
    SSL_CTX_use_certificate(context_.get(), certificate.get());
    SSL_CTX_use_PrivateKey(context_.get(), key.get());
  }
  // Whether the server let it in.
  TlsEngine::State knock() {
    const SslPtr ssl(SSL_new(context_.get()));
    BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());
    SSL_set_bio(ssl.get(), in, out);
    SSL_set_connect_state(ssl.get());
    for (int round = 0; round < 6; ++round) {
      SSL_do_handshake(ssl.get());
      char buffer[16384];
      const int size = BIO_read(out, buffer, sizeof buffer);
      if (size > 0) {
        server->on_ciphertext(
            Slice::copy_of(std::string_view(buffer, static_cast<std::size_t>(size))));
      }
      for (Slice reply = server->poll_ciphertext(); !reply.empty();
           reply = server->poll_ciphertext()) {
        BIO_write(in, reply.data(), static_cast<int>(reply.size()));
      }
    }
    return server->state();
  }

 private:
  SslContextPtr context_;
  BufferPool pool_;
  TlsContext ours_{identity_of(2)};

 public:
  std::unique_ptr<TlsEngine> server = TlsEngine::server(ours_, pool_);
};

TEST(TlsHostile, P8A1NoClientCertificateIsRefused) {
  Stranger stranger(TLS1_3_VERSION);
  EXPECT_EQ(stranger.knock(), TlsEngine::State::kFailed);
  EXPECT_EQ(stranger.server->error()->kind(), Kind::kAuth);
  EXPECT_FALSE(stranger.server->peer().has_value());
}

TEST(TlsHostile, A1AnotherKindOfKeyIsRefused) {
  Stranger stranger(TLS1_3_VERSION);
  stranger.show_p256_key();
  EXPECT_EQ(stranger.knock(), TlsEngine::State::kFailed);
}

TEST(TlsHostile, A2Tls12IsRefused) {
  Stranger stranger(TLS1_2_VERSION);
  EXPECT_EQ(stranger.knock(), TlsEngine::State::kFailed);
  EXPECT_EQ(stranger.server->error()->kind(), Kind::kUnsupported);
}

TEST(TlsHostile, NoiseInsteadOfTlsIsRefused) {
  Rng noise(7);
  for (int i = 0; i < 50; ++i) {
    TlsPair pair;
    ByteVector bytes(1 + noise.below(300));
    noise.fill(bytes);
    if (i % 2 == 0) bytes[0] = std::byte{22};  // a handshake record, at first sight
    pair.server->on_ciphertext(Slice::copy_of(bytes));
    EXPECT_NE(pair.server->state(), TlsEngine::State::kOpen);
  }
}

TEST(TlsHostile, AFlippedBitInTheHandshakeNeverOpensBothSides) {
  TlsPair whole;
  whole.exchange();
  for (std::size_t target = 0; target < whole.trace.size(); target += 3) {
    TlsPair pair;
    std::size_t passed = 0;
    pair.exchange(~std::size_t{0}, [&](bool, ByteVector& bytes) {
      if (target >= passed && target < passed + bytes.size())
        bytes[target - passed] ^= std::byte{1};
      passed += bytes.size();
    });
    if (!pair.both_open()) continue;
    // The version and length of a record's header are outside the transcript; then both ends agree.
    EXPECT_EQ(to_hex(pair.client->exporter("x", {}, 16)),
              to_hex(pair.server->exporter("x", {}, 16)))
        << target;
  }
}

TEST(TlsHostile, AFlippedBitInAnyRecordIsDetected) {
  const std::string text = "firstthe second recordthird";
  std::size_t size = 1;
  for (std::size_t bit = 0; bit < 8 * size; bit += 5) {
    TlsPair pair;
    pair.exchange();
    ASSERT_TRUE(pair.client->write_plaintext(bytes_of("first")).has_value());
    ASSERT_TRUE(pair.client->write_plaintext(bytes_of("the second record")).has_value());
    ASSERT_TRUE(pair.client->write_plaintext(bytes_of("third")).has_value());
    pair.exchange(~std::size_t{0}, [&](bool from_client, ByteVector& bytes) {
      if (!from_client || bytes.empty()) return;
      size = bytes.size();
      bytes[bit / 8] ^= std::byte{1} << (bit % 8);
    });
    const std::string got = TlsPair::read_all(*pair.server);
    EXPECT_LT(got.size(), text.size()) << bit;  // what stood before the damage, and no more
    EXPECT_EQ(got, text.substr(0, got.size())) << bit;
  }
  EXPECT_GT(size, 60U);
}

TEST(TlsHostile, ALostOrRepeatedRecordIsDetected) {
  for (const bool repeated : {false, true}) {
    TlsPair pair;
    pair.exchange();
    std::vector<Slice> records;
    for (const std::string_view text : {"one", "two", "three"}) {
      ASSERT_TRUE(pair.client->write_plaintext(bytes_of(text)).has_value());
      records.push_back(pair.client->poll_ciphertext());
    }
    pair.server->on_ciphertext(records[0]);
    pair.server->on_ciphertext(records[repeated ? 0 : 2]);
    EXPECT_EQ(TlsPair::read_all(*pair.server), "one");
    EXPECT_EQ(pair.server->error()->kind(), Kind::kIntegrity);
    EXPECT_FALSE(pair.server->poll_ciphertext().empty());  // the alert
  }
}

TEST(TlsHostile, AnAlertInPlainTextFromInBetweenIsNoCleanEnd) {
  TlsPair pair;
  pair.exchange();
  pair.server->on_ciphertext(Slice::copy_of(from_hex("15030300020100").value()));  // close_notify
  EXPECT_EQ(TlsPair::read_all(*pair.server), "");
  EXPECT_EQ(pair.server->state(), TlsEngine::State::kFailed);
}

}  // namespace
}  // namespace longhaul::crypto
