// What wants more memory than there is, as an error and not as what LibTorch throws.
#pragma once

#include <c10/util/Exception.h>
#include <fmt/format.h>

#include <new>
#include <string>
#include <utility>

#include "lib/base/result.hpp"

namespace longhaul::trainer {

// work(), a Result. LibTorch says by a type of its own that a GPU is full, and of the host's memory
// in words alone.
template <class Work>
auto within_memory(const char* attempt, const char* advice, Work&& work) -> decltype(work()) {
  std::string why;
  try {
    return std::forward<Work>(work)();
  } catch (const c10::OutOfMemoryError& error) {
    why = error.what_without_backtrace();
  } catch (const c10::Error& error) {
    why = error.what_without_backtrace();
    if (why.find("allocate memory") == std::string::npos) throw;
  } catch (const std::bad_alloc&) {
    why = "the host has no more";
  }
  return fail(Error(Kind::kLimit, attempt, "not enough memory: " + why.substr(0, why.find('\n')))
                  .advise(advice));
}

// Before a device's memory is taken, as far as it is known (0: it is not).
inline Result<> has_room(const std::string& device, double wanted_bytes, double free_bytes) {
  if (free_bytes <= 0 || wanted_bytes <= free_bytes) return {};
  return fail(
      Error(Kind::kLimit, "serve on " + device,
            fmt::format("not enough memory: weights and pool want {:.2f} GB, {:.2f} GB are free",
                        wanted_bytes / 1e9, free_bytes / 1e9))
          .advise("a smaller --pool-tokens, or --dtype bf16"));
}

}  // namespace longhaul::trainer
