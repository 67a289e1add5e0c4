// some<T>(rng): a random value of anything that may travel; edges are as likely as the middle.
#pragma once

#include "lib/base/rng.hpp"
#include "lib/wire/codec.hpp"

namespace longhaul::wire {

template <class T>
struct Some;
template <class T>
T some(Rng& rng) {
  return Some<T>::of(rng);
}

inline std::uint64_t some_number(Rng& rng, std::uint64_t most) {
  switch (rng.below(4)) {
    case 0:
      return rng.below(2) == 0 ? 0 : most;
    case 1:
      return rng.between(0, most);
    default:
      return std::min(most, rng.next() >> rng.below(64));
  }
}
inline std::string some_bytes(Rng& rng, std::size_t most) {
  std::string bytes(some_number(rng, std::min<std::size_t>(most, 200)), '\0');
  rng.fill(std::as_writable_bytes(std::span(bytes)));
  return bytes;
}

template <class T>
struct Filler {
  Rng& rng;
  T& message;
  template <class M>
  void operator()(M T::*member, std::string_view, std::string_view = {}) {
    message.*member = some<M>(rng);
  }
};

template <class T>
struct Some {
  static T of(Rng& rng) {
    if constexpr (std::is_same_v<T, bool>) {
      return rng.below(2) == 1;
    } else if constexpr (std::is_enum_v<T>) {
      constexpr auto values = wire_values(T{});
      return values[rng.below(values.size())].value;
    } else if constexpr (std::is_floating_point_v<T>) {
      return static_cast<T>(rng.unit());
    } else if constexpr (std::is_same_v<T, std::int64_t>) {
      return static_cast<T>(rng.next()) >> rng.below(64);
    } else if constexpr (std::is_integral_v<T>) {
      return static_cast<T>(some_number(rng, std::numeric_limits<T>::max()));
    } else if constexpr (std::is_same_v<T, Duration>) {
      return T(some<std::int64_t>(rng));
    } else if constexpr (std::is_same_v<T, WallTime>) {
      return T{some<std::int64_t>(rng)};
    } else if constexpr (std::is_same_v<T, ByteCount>) {
      return T(some<std::uint64_t>(rng));
    } else if constexpr (std::is_same_v<T, crypto::Digest>) {
      return crypto::sha256(some_bytes(rng, 8));
    } else {
      T message{};
      Filler<T> filler{rng, message};
      T::fields(filler);
      return message;
    }
  }
};
template <class Tag, class Rep>
struct Some<Id<Tag, Rep>> {
  static Id<Tag, Rep> of(Rng& rng) { return Id<Tag, Rep>(some<Rep>(rng)); }
};
template <class Int>
struct Some<Fixed<Int>> {
  static Fixed<Int> of(Rng& rng) { return {some<Int>(rng)}; }
};
template <std::size_t N>
struct Some<std::array<std::byte, N>> {
  static std::array<std::byte, N> of(Rng& rng) {
    std::array<std::byte, N> bytes;
    rng.fill(bytes);
    return bytes;
  }
};
template <std::size_t Max>
struct Some<Text<Max>> {
  static Text<Max> of(Rng& rng) { return some_bytes(rng, Max); }
};
template <std::size_t Max>
struct Some<Blob<Max>> {
  static Blob<Max> of(Rng& rng) {
    const std::string text = some_bytes(rng, Max);
    const Bytes bytes = bytes_of(text);
    return Blob<Max>(bytes.begin(), bytes.end());
  }
};
template <std::size_t Max>
struct Some<Payload<Max>> {
  static Payload<Max> of(Rng& rng) { return Slice::copy_of(some_bytes(rng, Max)); }
};
template <std::size_t Max>
struct Some<Bitmap<Max>> {
  static Bitmap<Max> of(Rng& rng) {
    Bitmap<Max> bitmap(some_number(rng, std::min<std::size_t>(Max, 500)));
    for (std::size_t i = 0; i < bitmap.size(); ++i) bitmap.set(i, rng.below(2) == 1);
    return bitmap;
  }
};
template <class T>
struct Some<std::optional<T>> {
  static std::optional<T> of(Rng& rng) {
    if (rng.below(2) == 0) return std::nullopt;
    return some<T>(rng);
  }
};
template <class... Ts>
struct Some<std::variant<Ts...>> {
  static std::variant<Ts...> of(Rng& rng) {
    std::variant<Ts...> value;
    std::uint64_t left = rng.below(sizeof...(Ts));
    static_cast<void>(
        ((left-- == 0 ? (value.template emplace<Ts>(some<Ts>(rng)), true) : false) || ...));
    return value;
  }
};
template <class T, std::size_t Max>
struct Some<List<T, Max>> {
  static List<T, Max> of(Rng& rng) {
    List<T, Max> list;
    const std::uint64_t size = some_number(rng, std::min<std::size_t>(Max, 20));
    for (std::uint64_t i = 0; i < size; ++i) list.push_back(some<T>(rng));
    return list;
  }
};
template <class K, class V, std::size_t Max>
struct Some<Map<K, V, Max>> {
  static Map<K, V, Max> of(Rng& rng) {
    Map<K, V, Max> map;
    const std::uint64_t size = some_number(rng, std::min<std::size_t>(Max, 20));
    for (std::uint64_t i = 0; i < size; ++i) map.insert_or_assign(some<K>(rng), some<V>(rng));
    return map;
  }
};

}  // namespace longhaul::wire
