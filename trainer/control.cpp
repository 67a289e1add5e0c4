#include "trainer/control.hpp"

#include <poll.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>

#include "lib/base/escape.hpp"

namespace longhaul::trainer {
namespace {

constexpr std::array<std::string_view, 4> kNames = {"lr", "rest_lr", "clip", "kappa"};
constexpr std::string_view kPin = "pin.", kScale = "scale.";

bool is_name(std::string_view key) {
  return std::count(kNames.begin(), kNames.end(), key) > 0;
}

}  // namespace

void Control::wait(Duration span) const {
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(span).count();
  ::poll(nullptr, 0, static_cast<int>(ms));  // a signal ends it, which is right
}

Result<> Settings::change(const Command& command) {
  const bool pins = command.verb == Command::Verb::kSet;
  if (!is_name(command.key))
    return fail(Kind::kUsage, "set " + printable(command.key, 64),
                "there is lr, rest_lr, clip and kappa");
  if (!std::isfinite(command.value) || command.value < 0)
    return fail(Kind::kUsage, "set " + command.key, "it is a number, 0 or more");
  changes_[command.key] = {pins, command.value};
  return {};
}

double Settings::of(std::string_view key, double scheduled) const {
  const auto found = changes_.find(key);
  if (found == changes_.end()) return scheduled;
  return found->second.pins ? found->second.value : found->second.value * scheduled;
}

Settings::Rates Settings::rates(double rate, double rest_rate, double factor) const {
  const Rates rates{of("lr", rate * factor), of("rest_lr", rest_rate * factor)};
  const auto lr = changes_.find("lr");
  if (lr == changes_.end() || has("rest_lr")) return rates;
  const Change& change = lr->second;
  if (!change.pins) return {rates.matrices, rest_rate * factor * change.value};
  return {rates.matrices, rate > 0 ? rest_rate * (change.value / rate) : rest_rate};
}

void Settings::save(std::map<std::string, double>& numbers) const {
  std::erase_if(numbers, [](const auto& entry) {
    return entry.first.starts_with(kPin) || entry.first.starts_with(kScale);
  });
  for (const auto& [key, change] : changes_)
    numbers[std::string(change.pins ? kPin : kScale) + key] = change.value;
}

void Settings::load(const std::map<std::string, double>& numbers) {
  changes_.clear();
  for (const auto& [name, value] : numbers) {
    const bool pins = name.starts_with(kPin);
    if (!pins && !name.starts_with(kScale)) continue;
    const std::string key = name.substr(pins ? kPin.size() : kScale.size());
    if (is_name(key)) changes_[key] = {pins, value};
  }
}

}  // namespace longhaul::trainer
