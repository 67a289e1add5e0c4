// One JSON object as one line, for --json: keys keep their order, text that is not UTF-8 has its
// bad bytes replaced, numbers are exact.
//
//   out.write(JsonLine().add("event", "progress").add("bytes", done.value()).text());
#pragma once

#include <concepts>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace longhaul::cli {

class JsonLine {
 public:
  JsonLine();
  ~JsonLine();
  JsonLine(JsonLine&&) noexcept;
  JsonLine& operator=(JsonLine&&) noexcept;

  JsonLine& add(std::string_view key, std::string_view text);
  JsonLine& add(std::string_view key, const char* text) { return add(key, std::string_view(text)); }
  JsonLine& add(std::string_view key, bool value);
  JsonLine& add(std::string_view key, double value);  // null when not finite
  template <std::unsigned_integral Int>
  requires(!std::same_as<Int, bool>) JsonLine& add(std::string_view key, Int value) {
    return add_unsigned(key, value);
  }
  template <std::signed_integral Int>
  JsonLine& add(std::string_view key, Int value) {
    return add_signed(key, value);
  }
  JsonLine& add(std::string_view key, JsonLine value);
  JsonLine& add(std::string_view key, std::vector<JsonLine> values);
  std::string text() const;  // without a newline

 private:
  JsonLine& add_unsigned(std::string_view key, std::uint64_t value);
  JsonLine& add_signed(std::string_view key, std::int64_t value);
  struct Inside;
  std::unique_ptr<Inside> inside_;
};

}  // namespace longhaul::cli
