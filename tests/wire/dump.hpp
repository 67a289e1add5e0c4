// dump(message): a message as one line of JSON, the form in which the slow decoder in
// tests/golden/decode.py must read the same bytes. Bytes and text are hexadecimal, a float is its
// bits, a map is a list of pairs, a variant is [place, value].
#pragma once

#include <fmt/format.h>

#include "lib/wire/codec.hpp"

namespace longhaul::wire {

inline std::string hex_text(Bytes bytes) {
  return '"' + to_hex(bytes) + '"';
}

template <class T>
std::string dump(const T& value);

struct Dumper {
  std::string text;
  void add(std::string_view part) { text += (text.empty() ? "" : ", ") + std::string(part); }
};
template <class T>
struct FieldDumper : Dumper {
  explicit FieldDumper(const T& held) : message(held) {}
  const T& message;
  template <class M>
  void operator()(M T::*member, std::string_view name, std::string_view = {}) {
    add(fmt::format("\"{}\": {}", name, dump(message.*member)));
  }
};

template <class T>
std::string dump_one(const T& value) {
  if constexpr (std::is_same_v<T, bool>)
    return value ? "true" : "false";
  else if constexpr (std::is_enum_v<T>)
    return std::to_string(static_cast<unsigned>(value));
  else if constexpr (std::is_floating_point_v<T>)
    return hex_text(std::as_bytes(std::span(&value, 1)));
  else if constexpr (std::is_integral_v<T>)
    return std::to_string(value);
  else if constexpr (std::is_same_v<T, Duration>)
    return std::to_string(value.count());
  else if constexpr (std::is_same_v<T, WallTime>)
    return std::to_string(value.ns);
  else if constexpr (FieldListed<T>) {
    FieldDumper<T> dumper(value);
    T::fields(dumper);
    return '{' + dumper.text + '}';
  } else if constexpr (requires { value.bytes(); } && !std::is_base_of_v<Bits, T>)
    return hex_text(value.bytes());
  else if constexpr (std::is_base_of_v<Bits, T>) {
    std::string bits;
    for (std::size_t i = 0; i < value.size(); ++i) bits += value.test(i) ? '1' : '0';
    return '"' + bits + '"';
  } else if constexpr (std::is_base_of_v<std::string, T>)
    return hex_text(bytes_of(value));
  else if constexpr (std::is_convertible_v<T, Bytes>)
    return hex_text(value);
  else
    return std::to_string(value.value());
}

template <class T>
struct Dump {
  static std::string of(const T& value) { return dump_one(value); }
};
template <class Int>
struct Dump<Fixed<Int>> {
  static std::string of(const Fixed<Int>& fixed) { return std::to_string(fixed.value); }
};
template <class T>
struct Dump<std::optional<T>> {
  static std::string of(const std::optional<T>& value) { return value ? dump(*value) : "null"; }
};
template <class... Ts>
struct Dump<std::variant<Ts...>> {
  static std::string of(const std::variant<Ts...>& value) {
    const std::string held = std::visit([](const auto& one) { return dump(one); }, value);
    return fmt::format("[{}, {}]", value.index(), held);
  }
};
template <class T, std::size_t Max>
struct Dump<List<T, Max>> {
  static std::string of(const List<T, Max>& list) {
    Dumper items;
    for (const T& item : list) items.add(dump(item));
    return '[' + items.text + ']';
  }
};
template <class K, class V, std::size_t Max>
struct Dump<Map<K, V, Max>> {
  static std::string of(const Map<K, V, Max>& map) {
    Dumper items;
    for (const auto& [key, value] : map) items.add(fmt::format("[{}, {}]", dump(key), dump(value)));
    return '[' + items.text + ']';
  }
};

template <class T>
std::string dump(const T& value) {
  return Dump<T>::of(value);
}

}  // namespace longhaul::wire
