// What the TLS engine does when OpenSSL is refused memory: each allocation of a handshake in turn.
// Takes OpenSSL's allocator for itself, so that it is a program of its own.
#include <gtest/gtest.h>
#include <openssl/crypto.h>

#include <cstdlib>
#include <new>
#include <unordered_set>
#include <utility>

#include "tests/crypto/tls_pair.hpp"

namespace longhaul::crypto {
namespace {

long left = -1;  // allocations until one is refused; negative: none is

bool refused() {
  return left >= 0 && left-- == 0;
}
// All that OpenSSL holds: what it forgets itself when it is refused memory (60 bytes in 3.0) is no
// leak of ours.
std::unordered_set<void*>& held() {
  static auto& blocks = *new std::unordered_set<void*>;
  return blocks;
}
void* allocate(std::size_t size, const char*, int) {
  if (refused()) return nullptr;
  return *held().insert(std::malloc(size)).first;
}
void* reallocate(void* memory, std::size_t size, const char*, int) {
  if (refused()) return nullptr;
  held().erase(memory);
  return *held().insert(std::realloc(memory, size)).first;
}
void release(void* memory, const char*, int) {
  held().erase(memory);
  std::free(memory);
}
// Before main(): OpenSSL takes no other allocator once it has allocated.
const bool taken = CRYPTO_set_mem_functions(allocate, reallocate, release) == 1;

TEST(TlsMemory, R4EachAllocationOfAHandshakeThatIsRefusedEndsItInWords) {
  ASSERT_TRUE(taken);
  const Pin pin = identity_of(kServerKey).pin();
  TlsPair(1, pin).exchange();  // what OpenSSL makes once
  unsigned thrown = 0, failed = 0;
  bool all = false;
  // Each of the first, where a connection is set up; then every seventh.
  for (long n = 0; !all; n += n < 300 ? 1 : 7) {
    left = n;
    try {
      TlsPair pair(1, pin);
      pair.exchange();
      if (pair.both_open()) pair.client->exporter("longhaul test", {}, 32);
      const long unused = std::exchange(left, -1);
      all = unused >= 0;
      for (const TlsEngine* engine : {pair.client.get(), pair.server.get()}) {
        if (engine->state() != TlsEngine::State::kFailed) continue;
        EXPECT_FALSE(engine->error()->why().empty()) << n;
        ++failed;
      }
    } catch (const std::bad_alloc&) {
      left = -1;
      ++thrown;
    }
    if (n % 5 != 0) continue;
    TlsPair next(1, pin);  // what is made once is whole
    next.exchange();
    ASSERT_TRUE(next.both_open()) << n;
  }
  EXPECT_GT(thrown, 10U);
  EXPECT_GT(failed, 10U);
}

// What a program makes of its key when it starts.
TEST(TlsMemory, R4AnAllocationOfAKeyOrAContextThatIsRefusedIsToldAsSuch) {
  static_cast<void>(TlsContext(identity_of(1), {}).pin());  // what OpenSSL makes once
  unsigned thrown = 0;
  bool all = false;
  for (long n = 0; !all; n += n < 50 ? 1 : 41) {
    left = n;
    try {
      static_cast<void>(TlsContext(identity_of(1), {}).pin());
      all = std::exchange(left, -1) >= 0;
    } catch (const std::bad_alloc&) {
      left = -1;
      ++thrown;
    }
  }
  EXPECT_GT(thrown, 20U);
}

}  // namespace
}  // namespace longhaul::crypto
