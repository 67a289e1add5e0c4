// A walk through the JSON a safetensors header may hold: objects, arrays, strings and whole
// numbers, in the order they stand, without building anything. No value is skipped unseen, so
// nesting is as deep as the caller's code and no deeper. Strings are returned as they stand between
// their quotes, escapes unresolved.
//
//   const auto on_key = [&](std::string_view key) -> Result<> { .. read the value .. };
//   TRY(json.object(on_key));
#pragma once

#include <cstdint>
#include <string_view>

#include "lib/base/result.hpp"

namespace longhaul::compression {

class JsonWalker {
 public:
  // `attempt` is what errors say was being done; static storage.
  JsonWalker(std::string_view text, const char* attempt) : rest_(text), attempt_(attempt) {}

  template <class OnKey>
  Result<> object(OnKey&& on_key) {  // on_key reads the value
    TRY(expect('{'));
    if (take('}')) return {};
    do {
      const std::string_view key = TRY(string());
      TRY(expect(':'));
      TRY(on_key(key));
    } while (take(','));
    return expect('}');
  }
  template <class OnItem>
  Result<> array(OnItem&& on_item) {
    TRY(expect('['));
    if (take(']')) return {};
    do {
      TRY(on_item());
    } while (take(','));
    return expect(']');
  }
  Result<std::string_view> string();  // valid as long as the text
  Result<std::uint64_t> number();     // no sign, fraction, exponent or leading zero
  Result<> end();                     // nothing but white space is left

 private:
  void skip_space();
  bool take(char wanted);
  Result<> expect(char wanted);
  std::string_view rest_;
  const char* attempt_;
};

}  // namespace longhaul::compression
