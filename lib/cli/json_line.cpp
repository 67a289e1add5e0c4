#include "lib/cli/json_line.hpp"

#include <nlohmann/json.hpp>

namespace longhaul::cli {

struct JsonLine::Inside {
  nlohmann::ordered_json object = nlohmann::ordered_json::object();
};

JsonLine::JsonLine() : inside_(std::make_unique<Inside>()) {}
JsonLine::~JsonLine() = default;
JsonLine::JsonLine(JsonLine&&) noexcept = default;
JsonLine& JsonLine::operator=(JsonLine&&) noexcept = default;

JsonLine& JsonLine::add(std::string_view key, std::string_view text) {
  inside_->object[std::string(key)] = std::string(text);
  return *this;
}
JsonLine& JsonLine::add(std::string_view key, bool value) {
  inside_->object[std::string(key)] = value;
  return *this;
}
JsonLine& JsonLine::add(std::string_view key, double value) {
  inside_->object[std::string(key)] = value;
  return *this;
}
JsonLine& JsonLine::add_unsigned(std::string_view key, std::uint64_t value) {
  inside_->object[std::string(key)] = value;
  return *this;
}
JsonLine& JsonLine::add_signed(std::string_view key, std::int64_t value) {
  inside_->object[std::string(key)] = value;
  return *this;
}
JsonLine& JsonLine::add(std::string_view key, JsonLine value) {
  inside_->object[std::string(key)] = std::move(value.inside_->object);
  return *this;
}
JsonLine& JsonLine::add(std::string_view key, std::vector<JsonLine> values) {
  auto& list = inside_->object[std::string(key)] = nlohmann::ordered_json::array();
  for (JsonLine& value : values) list.push_back(std::move(value.inside_->object));
  return *this;
}

std::string JsonLine::text() const {
  return inside_->object.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

}  // namespace longhaul::cli
