#include "trainer/json.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>

namespace longhaul::trainer {
namespace {

constexpr const char* kAttempt = "read JSON";

void append_utf8(std::string& out, std::uint32_t code) {
  const auto put = [&](std::uint32_t byte) { out += static_cast<char>(byte); };
  if (code < 0x80) return put(code);
  if (code < 0x800) {
    put(0xc0 | code >> 6);
  } else {
    if (code < 0x10000) {
      put(0xe0 | code >> 12);
    } else {
      put(0xf0 | code >> 18);
      put(0x80 | (code >> 12 & 0x3f));
    }
    put(0x80 | (code >> 6 & 0x3f));
  }
  put(0x80 | (code & 0x3f));
}

}  // namespace

class JsonParser {
 public:
  explicit JsonParser(std::string_view text) : text_(text) {}

  Result<Json> document() {
    Json value = TRY(this->value(0));
    skip_space();
    if (at_ != text_.size()) return bad("bytes behind the value");
    return value;
  }

 private:
  tl::unexpected<Error> bad(std::string_view why) const {
    return fail(Kind::kMalformed, kAttempt, fmt::format("{} at byte {}", why, at_));
  }
  void skip_space() {
    while (at_ < text_.size() && std::string_view(" \t\r\n").find(text_[at_]) != std::string::npos)
      ++at_;
  }
  bool take(char wanted) {
    skip_space();
    if (at_ == text_.size() || text_[at_] != wanted) return false;
    ++at_;
    return true;
  }
  bool take_word(std::string_view word) {
    if (text_.substr(at_, word.size()) != word) return false;
    at_ += word.size();
    return true;
  }

  Result<Json> value(std::size_t depth) {
    if (depth > kMaxJsonDepth) return fail(Kind::kLimit, kAttempt, "nested too deeply");
    if (++values_ > kMaxJsonValues) return fail(Kind::kLimit, kAttempt, "too many values");
    skip_space();
    if (at_ == text_.size()) return bad("cut short");
    Json out;
    switch (text_[at_]) {
      case '{':
        return object(depth);
      case '[':
        return array(depth);
      case '"':
        out.type_ = Json::Type::kString;
        out.text_ = TRY(string());
        return out;
      default:
        break;
    }
    if (take_word("null")) {
      out.type_ = Json::Type::kNull;
    } else if (take_word("true")) {
      out.type_ = Json::Type::kBool;
      out.bool_ = true;
    } else if (take_word("false")) {
      out.type_ = Json::Type::kBool;
    } else {
      out.type_ = Json::Type::kNumber;
      out.text_ = TRY(number());
    }
    return out;
  }

  Result<Json> object(std::size_t depth) {
    Json out;
    out.type_ = Json::Type::kObject;
    ++at_;
    if (take('}')) return out;
    do {
      skip_space();
      if (at_ == text_.size() || text_[at_] != '"') return bad("a key is missing");
      std::string key = TRY(string());
      if (!take(':')) return bad("a colon is missing");
      Json member = TRY(value(depth + 1));
      out.members_.emplace_back(std::move(key), std::move(member));
    } while (take(','));
    if (!take('}')) return bad("an object does not end");
    std::vector<std::string_view> keys;
    for (const auto& member : out.members_) keys.push_back(member.first);
    std::sort(keys.begin(), keys.end());
    if (std::adjacent_find(keys.begin(), keys.end()) != keys.end())
      return bad("a key stands twice in the object");
    return out;
  }

  Result<Json> array(std::size_t depth) {
    Json out;
    out.type_ = Json::Type::kArray;
    ++at_;
    if (take(']')) return out;
    do {
      Json item = TRY(value(depth + 1));
      out.items_.push_back(std::move(item));
    } while (take(','));
    if (!take(']')) return bad("an array does not end");
    return out;
  }

  Result<std::string> number() {
    const std::size_t begin = at_;
    const auto digits = [&] {
      const std::size_t first = at_;
      while (at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9') ++at_;
      return at_ - first;
    };
    if (at_ < text_.size() && text_[at_] == '-') ++at_;
    const std::size_t first = at_;
    const std::size_t whole = digits();
    if (whole == 0 || (whole > 1 && text_[first] == '0')) return bad("no value");
    if (at_ < text_.size() && text_[at_] == '.') {
      ++at_;
      if (digits() == 0) return bad("a fraction without digits");
    }
    if (at_ < text_.size() && (text_[at_] == 'e' || text_[at_] == 'E')) {
      ++at_;
      if (at_ < text_.size() && (text_[at_] == '+' || text_[at_] == '-')) ++at_;
      if (digits() == 0) return bad("an exponent without digits");
    }
    return std::string(text_.substr(begin, at_ - begin));
  }

  Result<std::uint32_t> four_digits() {
    std::uint32_t code = 0;
    const std::string_view hex = text_.substr(at_, 4);
    const auto end = std::from_chars(hex.data(), hex.data() + hex.size(), code, 16);
    if (hex.size() != 4 || end.ec != std::errc() || end.ptr != hex.data() + 4)
      return bad("four hexadecimal digits are missing");
    at_ += 4;
    return code;
  }

  Result<> escape(std::string& out) {
    if (at_ == text_.size()) return bad("cut short");
    const char kind = text_[at_++];
    constexpr std::string_view kFrom = "\"\\/bfnrt", kTo = "\"\\/\b\f\n\r\t";
    if (const auto found = kFrom.find(kind); found != std::string_view::npos) {
      out += kTo[found];
      return {};
    }
    if (kind != 'u') return bad("an unknown escape");
    std::uint32_t code = TRY(four_digits());
    if (code >= 0xd800 && code < 0xdc00) {
      if (!take_word("\\u")) return bad("half a surrogate pair");
      const std::uint32_t low = TRY(four_digits());
      if (low < 0xdc00 || low > 0xdfff) return bad("half a surrogate pair");
      code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
    } else if (code >= 0xdc00 && code < 0xe000) {
      return bad("half a surrogate pair");
    }
    append_utf8(out, code);
    return {};
  }

  Result<std::string> string() {
    std::string out;
    for (++at_; at_ < text_.size(); ++at_) {
      const char next = text_[at_];
      if (next == '"') {
        ++at_;
        return out;
      }
      if (static_cast<unsigned char>(next) < 0x20) return bad("a control character in a string");
      if (next != '\\') {
        out += next;
        continue;
      }
      ++at_;
      TRY(escape(out));
      --at_;
    }
    return bad("a string does not end");
  }

  std::string_view text_;
  std::size_t at_ = 0, values_ = 0;
};

Result<Json> Json::parse(std::string_view text) {
  if (text.size() > kMaxJsonBytes) return fail(Kind::kLimit, kAttempt, "too large");
  return JsonParser(text).document();
}

const Json& Json::at(std::string_view key) const {
  static const Json kNone;
  const auto found = std::find_if(members_.begin(), members_.end(),
                                  [&](const auto& member) { return member.first == key; });
  return found == members_.end() ? kNone : found->second;
}

Result<std::uint64_t> Json::unsigned_number() const {
  std::uint64_t value = 0;
  const char* end = text_.data() + text_.size();
  const auto read = std::from_chars(text_.data(), end, value);
  if (type_ != Type::kNumber || read.ec != std::errc() || read.ptr != end)
    return fail(Kind::kMalformed, kAttempt, "a whole number is missing");
  return value;
}

Result<double> Json::number() const {
  double value = 0;
  const char* end = text_.data() + text_.size();
  const auto read = std::from_chars(text_.data(), end, value);
  if (type_ != Type::kNumber || read.ec != std::errc() || read.ptr != end || !std::isfinite(value))
    return fail(Kind::kMalformed, kAttempt, "a number is missing");
  return value;
}

Result<std::string> Json::string() const {
  if (type_ != Type::kString) return fail(Kind::kMalformed, kAttempt, "a string is missing");
  return text_;
}

Result<Json::Flag> Json::flag() const {
  if (type_ != Type::kBool) return fail(Kind::kMalformed, kAttempt, "true or false is missing");
  return Flag{bool_};
}

std::string json_quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      out += fmt::format("\\u{:04x}", static_cast<unsigned>(static_cast<unsigned char>(c)));
    } else {
      out += c;
    }
  }
  return out + "\"";
}

}  // namespace longhaul::trainer
