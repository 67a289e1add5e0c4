// Strong ids: one type per noun, so that a session's number is never taken for a path's.
//
//   using PathId = Id<struct PathTag, std::uint32_t>;
#pragma once

#include <compare>
#include <cstdint>
#include <functional>

namespace longhaul {

template <class Tag, class Rep = std::uint64_t>
class Id {
 public:
  using rep = Rep;
  constexpr Id() = default;
  constexpr explicit Id(Rep value) : value_(value) {}
  constexpr Rep value() const { return value_; }
  constexpr auto operator<=>(const Id&) const = default;
  constexpr Id next() const { return Id(static_cast<Rep>(value_ + 1)); }

 private:
  Rep value_ = 0;
};

}  // namespace longhaul

template <class Tag, class Rep>
struct std::hash<longhaul::Id<Tag, Rep>> {
  std::size_t operator()(longhaul::Id<Tag, Rep> id) const noexcept {
    return std::hash<Rep>{}(id.value());
  }
};
