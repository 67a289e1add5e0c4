#include "lib/io/clocks.hpp"

#include <ctime>

namespace longhaul::io {
namespace {

Duration read(clockid_t clock) {
  ::timespec spec{};
  ::clock_gettime(clock, &spec);
  return std::chrono::seconds(spec.tv_sec) + Duration(spec.tv_nsec);
}

}  // namespace

Duration steady_time() {
  return read(CLOCK_MONOTONIC);
}

Duration thread_cpu_time() {
  return read(CLOCK_THREAD_CPUTIME_ID);
}

}  // namespace longhaul::io
