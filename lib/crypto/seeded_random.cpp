#include "lib/crypto/seeded_random.hpp"

#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/params.h>
#include <openssl/rand.h>

namespace longhaul::crypto {
namespace {

constexpr const char* kName = "LONGHAUL-SEEDED";
constexpr unsigned kStrengthBits = 256;
constexpr std::size_t kRequestBytesMax = 1 << 20;

// The provider's context: where generators find the stream in use. Generators are handles to it.
struct Source {
  Rng* current = nullptr;
};

void* new_generator(void* provider, void*, const OSSL_DISPATCH*) {
  return provider;
}
void free_generator(void*) {}
int instantiate(void*, unsigned, int, const unsigned char*, std::size_t, const OSSL_PARAM[]) {
  return 1;
}
int uninstantiate(void*) {
  return 1;
}
int generate(void* generator, unsigned char* out, std::size_t size, unsigned, int,
             const unsigned char*, std::size_t) {
  Rng* const stream = static_cast<Source*>(generator)->current;
  if (stream == nullptr) return 0;
  stream->fill(std::as_writable_bytes(std::span(out, size)));
  return 1;
}
int reseed(void*, int, const unsigned char*, std::size_t, const unsigned char*, std::size_t) {
  return 1;
}
int enable_locking(void*) {
  return 1;
}
int lock(void*) {
  return 1;
}
void unlock(void*) {}

int get_params(void*, OSSL_PARAM params[]) {
  OSSL_PARAM* state = OSSL_PARAM_locate(params, OSSL_RAND_PARAM_STATE);
  if (state != nullptr && OSSL_PARAM_set_int(state, EVP_RAND_STATE_READY) != 1) return 0;
  OSSL_PARAM* strength = OSSL_PARAM_locate(params, OSSL_RAND_PARAM_STRENGTH);
  if (strength != nullptr && OSSL_PARAM_set_uint(strength, kStrengthBits) != 1) return 0;
  OSSL_PARAM* most = OSSL_PARAM_locate(params, OSSL_RAND_PARAM_MAX_REQUEST);
  if (most != nullptr && OSSL_PARAM_set_size_t(most, kRequestBytesMax) != 1) return 0;
  return 1;
}
const OSSL_PARAM* gettable_params(void*, void*) {
  static const OSSL_PARAM kParams[] = {OSSL_PARAM_int(OSSL_RAND_PARAM_STATE, nullptr),
                                       OSSL_PARAM_uint(OSSL_RAND_PARAM_STRENGTH, nullptr),
                                       OSSL_PARAM_size_t(OSSL_RAND_PARAM_MAX_REQUEST, nullptr),
                                       OSSL_PARAM_END};
  return kParams;
}

template <class F>
OSSL_DISPATCH entry(int id, F* function) {
  return {id, reinterpret_cast<void (*)()>(function)};
}

const OSSL_ALGORITHM* query(void*, int operation, int* no_cache) {
  static const OSSL_DISPATCH kGenerator[] = {
      entry(OSSL_FUNC_RAND_NEWCTX, new_generator),
      entry(OSSL_FUNC_RAND_FREECTX, free_generator),
      entry(OSSL_FUNC_RAND_INSTANTIATE, instantiate),
      entry(OSSL_FUNC_RAND_UNINSTANTIATE, uninstantiate),
      entry(OSSL_FUNC_RAND_GENERATE, generate),
      entry(OSSL_FUNC_RAND_RESEED, reseed),
      entry(OSSL_FUNC_RAND_ENABLE_LOCKING, enable_locking),
      entry(OSSL_FUNC_RAND_LOCK, lock),
      entry(OSSL_FUNC_RAND_UNLOCK, unlock),
      entry(OSSL_FUNC_RAND_GET_CTX_PARAMS, get_params),
      entry(OSSL_FUNC_RAND_GETTABLE_CTX_PARAMS, gettable_params),
      {0, nullptr}};
  static const OSSL_ALGORITHM kAlgorithms[] = {{kName, "provider=longhaul", kGenerator, nullptr},
                                               {nullptr, nullptr, nullptr, nullptr}};
  *no_cache = 0;
  return operation == OSSL_OP_RAND ? kAlgorithms : nullptr;
}

void tear_down(void* provider) {
  delete static_cast<Source*>(provider);
}

int start(const OSSL_CORE_HANDLE*, const OSSL_DISPATCH*, const OSSL_DISPATCH** out,
          void** provider) {
  static const OSSL_DISPATCH kProvider[] = {entry(OSSL_FUNC_PROVIDER_QUERY_OPERATION, query),
                                            entry(OSSL_FUNC_PROVIDER_TEARDOWN, tear_down),
                                            {0, nullptr}};
  *out = kProvider;
  *provider = new Source;
  return 1;
}

}  // namespace

SeededRandom::SeededRandom(OSSL_LIB_CTX* library) : own_(0, "crypto.library") {
  ASSERT(OSSL_PROVIDER_add_builtin(library, "longhaul", start) == 1);
  provider_.reset(OSSL_PROVIDER_load(library, "longhaul"));
  ASSERT(provider_ != nullptr);
  auto* source = static_cast<Source*>(OSSL_PROVIDER_get0_provider_ctx(provider_.get()));
  source->current = &own_;
  current_ = &source->current;
  ASSERT(RAND_set_DRBG_type(library, kName, nullptr, nullptr, nullptr) == 1);
}

SeededRandom::Scope::Scope(SeededRandom& random, Rng& stream)
    : random_(random), outer_(std::exchange(*random.current_, &stream)) {}

SeededRandom::Scope::~Scope() {
  *random_.current_ = outer_;
}

}  // namespace longhaul::crypto
