// JSON as other people's model files hold it (config.json, index files): a whole document as a
// tree. Numbers keep their text, so that a 64-bit count is exact. Depth, bytes and values are
// bounded, a key that stands twice is refused. Pure; any thread.
//
//   const Json config = TRY(Json::parse(text));
//   const auto layers = TRY(config.at("num_hidden_layers").unsigned_number());
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lib/base/result.hpp"

namespace longhaul::trainer {

inline constexpr std::size_t kMaxJsonBytes = 32U << 20;
inline constexpr std::size_t kMaxJsonDepth = 24;
inline constexpr std::size_t kMaxJsonValues = 1U << 20;

class Json {
 public:
  enum class Type : std::uint8_t { kAbsent, kNull, kBool, kNumber, kString, kArray, kObject };
  static Result<Json> parse(std::string_view text);  // kMalformed or kLimit, with the byte's place

  Type type() const { return type_; }
  bool is(Type type) const { return type_ == type; }
  bool present() const { return type_ != Type::kAbsent && type_ != Type::kNull; }
  // The member of that name, or an absent value whose readers name the key in their error.
  const Json& at(std::string_view key) const;
  const std::vector<std::pair<std::string, Json>>& members() const { return members_; }
  const std::vector<Json>& items() const { return items_; }
  const std::string& text() const { return text_; }  // of a string, escapes resolved

  Result<std::uint64_t> unsigned_number() const;
  Result<double> number() const;
  Result<std::string> string() const;
  // Wrapped, because a Result<bool> would be true for false.
  struct Flag {
    bool value;
  };
  Result<Flag> flag() const;

 private:
  friend class JsonParser;
  Type type_ = Type::kAbsent;
  bool bool_ = false;
  std::string text_;  // a string's or a number's
  std::vector<Json> items_;
  std::vector<std::pair<std::string, Json>> members_;
};

// Text as a JSON string, with its quotes.
std::string json_quoted(std::string_view text);

}  // namespace longhaul::trainer
