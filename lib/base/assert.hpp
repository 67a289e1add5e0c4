// ASSERT(condition): a bug in this program stops it, in release too. Never for what a peer, a disk
// or a user can cause: that is a Result. It prints the expression and place to stderr and aborts.
#pragma once

namespace longhaul {

[[noreturn]] void assertion_failed(const char* expression, const char* file, int line) noexcept;

}  // namespace longhaul

#define ASSERT(condition)                              \
  (static_cast<bool>(condition) ? static_cast<void>(0) \
                                : ::longhaul::assertion_failed(#condition, __FILE__, __LINE__))
