#include "lib/io/own_limits.hpp"

#include <sys/resource.h>

#include <algorithm>

namespace longhaul::io {
namespace {

// Enough for every session and stranger there may be, and what an unlimited one would cost
// whoever walks all numbers to close them is not much.
constexpr ::rlim_t kDescriptorsMax = 65'536;

}  // namespace

void keep_no_core_files() {
  ::rlimit limit{};
  if (::getrlimit(RLIMIT_CORE, &limit) != 0) return;
  limit.rlim_cur = 0;
  static_cast<void>(::setrlimit(RLIMIT_CORE, &limit));
}

std::uint64_t raise_descriptor_limit() {
  ::rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return 0;
  const ::rlim_t wanted = std::min(limit.rlim_max, kDescriptorsMax);
  if (limit.rlim_cur < wanted) {
    ::rlimit raised = limit;
    raised.rlim_cur = wanted;
    if (::setrlimit(RLIMIT_NOFILE, &raised) == 0) return wanted;
  }
  return limit.rlim_cur;
}

}  // namespace longhaul::io
