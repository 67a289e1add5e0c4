// Codecs of what is made of other fields: optional, variant, List, Map and messages. Included by
// field_codec.hpp; include that, or codec.hpp.
#pragma once

#include "lib/wire/field_codec.hpp"

namespace longhaul::wire {

template <class T>
struct Codec<std::optional<T>> {
  static void put(Writer& w, const std::optional<T>& value) {
    w.byte(value.has_value() ? 1 : 0);
    if (value.has_value()) Codec<T>::put(w, *value);
  }
  static void get(Reader& r, std::optional<T>& value) {
    bool there = false;
    Codec<bool>::get(r, there);
    value.reset();
    if (there) Codec<T>::get(r, value.emplace());
  }
  static SizeRange size() { return {1, 1 + Codec<T>::size().most}; }
  static std::string type() { return "optional " + Codec<T>::type(); }
};

// The alternative's place in the list as one byte, then the alternative.
template <class... Ts>
struct Codec<std::variant<Ts...>> {
  using Value = std::variant<Ts...>;
  static void put(Writer& w, const Value& value) {
    w.byte(static_cast<std::uint8_t>(value.index()));
    std::visit([&w]<class T>(const T& held) { Codec<T>::put(w, held); }, value);
  }
  static void get(Reader& r, Value& value) {
    const std::uint8_t tag = r.byte();
    std::uint8_t place = 0;
    const bool found =
        ((place++ == tag && (Codec<Ts>::get(r, value.template emplace<Ts>()), true)) || ...);
    if (!found) r.fail(Fault::kUnknownValue);
  }
  static SizeRange size() {
    return {1 + std::min({Codec<Ts>::size().least...}), 1 + std::max({Codec<Ts>::size().most...})};
  }
  static std::string type() {
    std::string text = "one of";
    unsigned place = 0;
    ((text += ' ' + std::to_string(place++) + '=' + Codec<Ts>::type()), ...);
    return text;
  }
};

template <class T, std::size_t Max>
struct Codec<List<T, Max>> {
  static void put(Writer& w, const List<T, Max>& list) {
    ASSERT(list.fits());
    w.varint(list.size());
    for (const T& item : list) Codec<T>::put(w, item);
  }
  static void get(Reader& r, List<T, Max>& list) {
    const std::size_t n = r.count(Max, std::max<std::size_t>(1, Codec<T>::size().least));
    list.clear();
    // More than this only for items that are really there: a small message must not cost megabytes.
    list.reserve(std::min(n, std::size_t{65536} / sizeof(T) + 1));
    for (std::size_t i = 0; i < n && !r.failed(); ++i) Codec<T>::get(r, list.emplace_back());
  }
  static SizeRange size() { return {1, varint_size(Max) + Max * Codec<T>::size().most}; }
  static std::string type() {
    return "list, at most " + std::to_string(Max) + ", of " + Codec<T>::type();
  }
};

template <class K, class V, std::size_t Max>
struct Codec<Map<K, V, Max>> {
  static void put(Writer& w, const Map<K, V, Max>& map) {
    ASSERT(map.fits());
    w.varint(map.size());
    for (const auto& [key, value] : map) {
      Codec<K>::put(w, key);
      Codec<V>::put(w, value);
    }
  }
  static void get(Reader& r, Map<K, V, Max>& map) {
    const std::size_t least = Codec<K>::size().least + Codec<V>::size().least;
    const std::size_t n = r.count(Max, std::max<std::size_t>(1, least));
    map.clear();
    for (std::size_t i = 0; i < n && !r.failed(); ++i) {
      K key{};
      Codec<K>::get(r, key);
      if (!map.empty() && !(map.rbegin()->first < key)) r.fail(Fault::kNotSorted);
      if (r.failed()) return;
      Codec<V>::get(r, map.emplace_hint(map.end(), std::move(key), V{})->second);
    }
  }
  static SizeRange size() {
    return {1, varint_size(Max) + Max * (Codec<K>::size().most + Codec<V>::size().most)};
  }
  static std::string type() {
    return "map, at most " + std::to_string(Max) + ", of " + Codec<K>::type() + " to " +
           Codec<V>::type();
  }
};

namespace detail {

template <class T>
struct Putter {
  Writer& w;
  const T& message;
  template <class M>
  void operator()(M T::*member, std::string_view, std::string_view = {}) {
    Codec<M>::put(w, message.*member);
  }
};

template <class T>
struct Getter {
  Reader& r;
  T& message;
  template <class M>
  void operator()(M T::*member, std::string_view name, std::string_view = {}) {
    r.at_field(name);
    if (!r.failed()) Codec<M>::get(r, message.*member);
  }
};

template <class T>
struct Sizer {
  SizeRange total;
  template <class M>
  void operator()(M T::*, std::string_view, std::string_view = {}) {
    total = total + Codec<M>::size();
  }
};

std::string table_head();
std::string table_line(std::string_view name, std::string_view type, SizeRange size,
                       std::string_view note);

template <class T>
struct Describer {
  std::string lines = table_head();
  template <class M>
  void operator()(M T::*, std::string_view name, std::string_view note = {}) {
    lines += table_line(name, Codec<M>::type(), Codec<M>::size(), note);
  }
  std::string table() && { return std::move(lines); }
};

struct AnyField {  // for the concept: accepts whatever a field list says
  template <class M>
  void operator()(M, std::string_view, std::string_view = {}) {}
};

}  // namespace detail

template <class T>
concept FieldListed = requires(detail::AnyField& f) {
  T::fields(f);
};

template <FieldListed T>
struct Codec<T> {
  static void put(Writer& w, const T& message) {
    detail::Putter<T> putter{w, message};
    T::fields(putter);
  }
  static void get(Reader& r, T& message) {
    detail::Getter<T> getter{r, message};
    T::fields(getter);
  }
  static SizeRange size() {
    detail::Sizer<T> sizer;
    T::fields(sizer);
    return sizer.total;
  }
  static std::string type() { return std::string(type_name<T>()); }
};

}  // namespace longhaul::wire
