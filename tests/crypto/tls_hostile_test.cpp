// Peers that are not ours: without a key, with an old version, with another kind of key, or with
// someone in between who changes bytes. Named after the checklist: A1, A2 and U5.
#include <gtest/gtest.h>

#include <array>
#include <string>

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
  void show_p256_key() { show(KeyPtr(EVP_EC_gen("P-256")), EVP_sha256(), 3600); }
  // Valid until so long after now.
  void show_ed25519_key(long seconds) {
    show(KeyPtr(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519")), nullptr, seconds);
  }
  // Offers a key that both might share, and says something under it before any answer.
  void send_early(std::string_view text) {
    early_ = text;
    SSL_CTX_set_psk_use_session_callback(context_.get(), offer_shared_key);
  }
  // Whether the server let it in.
  TlsEngine::State knock() {
    const SslPtr ssl(SSL_new(context_.get()));
    BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());
    SSL_set_bio(ssl.get(), in, out);
    SSL_set_connect_state(ssl.get());
    std::size_t written = 0;
    if (!early_.empty()) {
      EXPECT_EQ(SSL_write_early_data(ssl.get(), early_.data(), early_.size(), &written), 1);
    }
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
    char none = 0;
    SSL_read(ssl.get(), &none, 1);  // takes what stands behind the handshake: tickets, if any
    early_data = SSL_get_early_data_status(ssl.get());
    const SSL_SESSION* session = SSL_get0_session(ssl.get());
    may_resume = session != nullptr && SSL_SESSION_is_resumable(session) == 1;
    renegotiates = SSL_is_init_finished(ssl.get()) == 1 && SSL_renegotiate(ssl.get()) == 1;
    return server->state();
  }
  int early_data = SSL_EARLY_DATA_NOT_SENT;
  bool may_resume = false, renegotiates = false;

 private:
  void show(const KeyPtr& key, const EVP_MD* digest, long seconds) {
    const X509Ptr certificate(X509_new());
    X509_set_version(certificate.get(), X509_VERSION_3);
    X509_gmtime_adj(X509_getm_notBefore(certificate.get()), seconds - 3600);
    X509_gmtime_adj(X509_getm_notAfter(certificate.get()), seconds);
    X509_set_pubkey(certificate.get(), key.get());
    X509_sign(certificate.get(), key.get(), digest);
    SSL_CTX_use_certificate(context_.get(), certificate.get());
    SSL_CTX_use_PrivateKey(context_.get(), key.get());
  }
  static int offer_shared_key(SSL* ssl, const EVP_MD*, const unsigned char** name,
                              std::size_t* name_size, SSL_SESSION** session) {
    static const unsigned char kName[] = "shared";
    static const unsigned char kTlsAes128[] = {0x13, 0x01};
    const std::array<unsigned char, 32> secret{};
    *session = SSL_SESSION_new();
    SSL_SESSION_set1_master_key(*session, secret.data(), secret.size());
    SSL_SESSION_set_cipher(*session, SSL_CIPHER_find(ssl, kTlsAes128));
    SSL_SESSION_set_protocol_version(*session, TLS1_3_VERSION);
    SSL_SESSION_set_max_early_data(*session, 1024);
    *name = kName;
    *name_size = sizeof kName - 1;
    return 1;
  }
  SslContextPtr context_;
  std::string early_;
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

TEST(TlsHostile, A1DatesInACertificateAreIgnored) {
  for (const long seconds : {-86'400L, 3600L, 10 * 86'400L}) {  // past, present, still to come
    Stranger stranger(TLS1_3_VERSION);
    stranger.show_ed25519_key(seconds);
    EXPECT_EQ(stranger.knock(), TlsEngine::State::kOpen) << seconds;
    EXPECT_TRUE(stranger.server->peer().has_value());
  }
}

TEST(TlsHostile, A2EarlyDataIsNeverReadAndNobodyComesInWithoutAKey) {
  for (const bool has_key : {false, true}) {
    Stranger stranger(TLS1_3_VERSION);
    if (has_key) stranger.show_ed25519_key(3600);
    stranger.send_early("said before any proof");
    EXPECT_EQ(stranger.knock(), has_key ? TlsEngine::State::kOpen : TlsEngine::State::kFailed);
    EXPECT_EQ(stranger.early_data, SSL_EARLY_DATA_REJECTED);
    const Result<Slice> read = stranger.server->read_plaintext();
    EXPECT_TRUE(!read || read->empty());
  }
}

TEST(TlsHostile, A2NoTicketIsGivenAndNothingIsNegotiatedAgain) {
  Stranger stranger(TLS1_3_VERSION);
  stranger.show_ed25519_key(3600);
  EXPECT_EQ(stranger.knock(), TlsEngine::State::kOpen);
  EXPECT_FALSE(stranger.may_resume);
  EXPECT_FALSE(stranger.renegotiates);
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
