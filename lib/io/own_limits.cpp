#include "lib/io/own_limits.hpp"

#ifdef __GLIBC__
#include <malloc.h>
#endif
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <new>
#include <string_view>

#include "lib/io/terminal.hpp"

namespace longhaul::io {
namespace {

// Enough for every session and stranger there may be, and what an unlimited one would cost
// whoever walks all numbers to close them is not much.
constexpr ::rlim_t kDescriptorsMax = 65'536;

}  // namespace

void keep_few_arenas() {
#ifdef __GLIBC__
  static_cast<void>(::mallopt(M_ARENA_MAX, 2));
#endif
}

void give_memory_back() {
#ifdef __GLIBC__
  static_cast<void>(::malloc_trim(0));
#endif
}

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

void end_without_memory() {
  constexpr std::string_view kText =
      "longhaul: out of memory\n"
      "  why: an allocation failed, and the work it was for cannot go on without it\n"
      "  do:  free memory or raise the limit, then run the same command again; what had arrived is "
      "kept\n";
  // Nothing here allocates, and no destructor runs that might.
  give_terminal_back();
  static_cast<void>(::write(STDERR_FILENO, kText.data(), kText.size()) + 0);
  ::_exit(1);
}

void say_so_when_memory_ends() {
  std::set_terminate([] {
    try {
      if (const auto thrown = std::current_exception()) std::rethrow_exception(thrown);
      std::fputs("longhaul: a bug: ended where no exception was on its way\n", stderr);
    } catch (const std::bad_alloc&) {
      end_without_memory();
    } catch (const std::exception& error) {
      std::fprintf(stderr, "longhaul: a bug: %s\n", error.what());
    }
    std::abort();
  });
}

void end_at_the_first_refused_allocation() {
  std::set_new_handler(end_without_memory);
}

void go_on_after_a_refused_allocation() {
  std::set_new_handler(nullptr);
}

}  // namespace longhaul::io
