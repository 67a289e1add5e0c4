// What TLS costs one core: 15 KiB writes sealed by one engine and opened by its twin, in memory,
// and SHA-256 of large and small inputs. --json prints one line.
#include <fmt/format.h>

#include <array>
#include <cstring>

#include "lib/crypto/tls_engine.hpp"
#include "tools/bench/measure.hpp"

namespace longhaul::bench {
namespace {

constexpr std::size_t kWriteBytes = 15 << 10;
constexpr std::size_t kWrites = 4096;

class Pair {
 public:
  Pair() {
    while (carry(*client_, *server_) + carry(*server_, *client_) > 0) {
    }
    ASSERT(client_->is_open() && server_->is_open());
  }
  // Seals and opens; returns how many bytes came out.
  std::size_t send(Bytes text) {
    ASSERT(client_->write_plaintext(text).has_value());
    carry(*client_, *server_);
    std::size_t got = 0;
    for (Slice out = server_->read_plaintext().value(); !out.empty();
         out = server_->read_plaintext().value())
      got += out.size();
    return got;
  }

 private:
  static std::size_t carry(crypto::TlsEngine& from, crypto::TlsEngine& to) {
    std::size_t moved = 0;
    for (Slice out = from.poll_ciphertext(); !out.empty(); out = from.poll_ciphertext()) {
      moved += out.size();
      to.on_ciphertext(std::move(out));
    }
    return moved;
  }
  BufferPool pool_;
  crypto::TlsContext ours_{crypto::Identity::generate()}, theirs_{crypto::Identity::generate()};
  std::unique_ptr<crypto::TlsEngine> client_ =
      crypto::TlsEngine::client(ours_, pool_, theirs_.pin());
  std::unique_ptr<crypto::TlsEngine> server_ = crypto::TlsEngine::server(theirs_, pool_);
};

}  // namespace
}  // namespace longhaul::bench

int main(int argc, char** argv) {
  using namespace longhaul;
  using namespace longhaul::bench;
  const ByteVector text(kWriteBytes, std::byte{0x5a});
  Pair pair;
  const Rate tls = measure_rate(kWriteBytes * kWrites, 5, [&] {
    for (std::size_t i = 0; i < kWrites; ++i) ASSERT(pair.send(text) == kWriteBytes);
  });
  const ByteVector large(16 << 20);
  const Rate hash = measure_rate(large.size(), 5, [&] { keep(crypto::sha256(large)); });
  const Rate small = measure_rate(64 * 100'000, 5, [&] {
    for (int i = 0; i < 100'000; ++i) keep(crypto::sha256(Bytes(large).first(64)));
  });
  const double small_ns = 64e9 / small.best_bytes_per_s;
  const bool json = argc > 1 && std::strcmp(argv[1], "--json") == 0;
  const char* form =
      json ? R"({{"bench":"tls","tls_gb_s":{:.2f},"sha256_gb_s":{:.2f},)"
             R"("sha256_64_bytes_ns":{:.0f}}})"
             "\n"
           : "TLS seal and open {:.2f} GB/s, SHA-256 {:.2f} GB/s, of 64 bytes {:.0f} ns\n";
  fmt::print(fmt::runtime(form), tls.best_gb_per_s(), hash.best_gb_per_s(), small_ns);
}
