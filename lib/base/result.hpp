// Result<T>: a T, or the Error that kept us from it. Never Result<bool>: `if (r)` is true for a
// false value.
//
//   Result<Header> read_header(Bytes in) {
//     auto magic = TRY(read_u32(in));                       // leaves with the error, if there is
//     one if (magic != kMagic) return fail(Kind::kMalformed, "read header");
//     ..
//
// TRY returns from the enclosing function, so it must not stand in a coroutine.
#pragma once

#include <type_traits>
#include <utility>

#include <tl/expected.hpp>

#include "lib/base/error.hpp"

namespace longhaul {

template <class T = void>
class [[nodiscard]] Result : public tl::expected<T, Error> {
  static_assert(!std::is_same_v<T, bool>, "if (r) would be true for false: use an enum");

 public:
  using tl::expected<T, Error>::expected;
};

template <class... Args>
tl::unexpected<Error> fail(Kind kind, Args&&... args) {
  return tl::unexpected<Error>(Error(kind, std::forward<Args>(args)...));
}
inline tl::unexpected<Error> fail(Error error) {
  return tl::unexpected<Error>(std::move(error));
}
// From errno: the kind follows.
inline tl::unexpected<Error> fail_errno(std::string attempt, int os) {
  return tl::unexpected<Error>(Error(Error::kind_of_errno(os), std::move(attempt), os));
}

namespace detail {
template <class T>
T take(Result<T>&& result) {
  if constexpr (!std::is_void_v<T>) return *std::move(result);
}
}  // namespace detail

}  // namespace longhaul

// __COUNTER__: one TRY may stand in the argument of another.
#define TRY(expression) LONGHAUL_TRY(__COUNTER__, expression)
#define LONGHAUL_TRY(number, expression) LONGHAUL_TRY_NAMED(number, expression)
#define LONGHAUL_TRY_NAMED(number, expression)                                               \
  __extension__({                                                                            \
    auto try_##number = (expression);                                                        \
    if (!try_##number.has_value()) return ::longhaul::fail(std::move(try_##number).error()); \
    ::longhaul::detail::take(std::move(try_##number));                                       \
  })
