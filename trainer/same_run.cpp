#include "trainer/same_run.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "lib/base/escape.hpp"

namespace longhaul::trainer {
namespace {

constexpr std::size_t kShown = 80;  // characters of a value that a file holds

// With another one of these the next sample is another, or what the state holds is not what the
// rule that goes on takes it for.
constexpr std::array<std::string_view, 13> kMustBeSame = {
    "batch", "data", "data-content", "dtype",          "optimizer", "order",      "rest-rule",
    "scale", "seed", "sequence",     "shuffle-window", "steps",     "transported"};

bool must_be_same(std::string_view key) {
  return std::count(kMustBeSame.begin(), kMustBeSame.end(), key) > 0;
}

void append_name(std::string& names, const std::string& name) {
  names += (names.empty() ? "" : ", ") + name;
}

}  // namespace

Result<> check_same_run(const Facts& before, const Facts& now, const Path& folder) {
  for (const auto& [key, value] : now) {
    const auto was = before.find(key);
    if (was == before.end() || was->second == value || !must_be_same(key)) continue;
    return fail(Kind::kUsage, "resume from " + printable(folder.native()),
                fmt::format("its {} is {}, not {}", key, printable(was->second, kShown), value));
  }
  return {};
}

std::string changed_settings(const Facts& before, const Facts& now) {
  std::string out;
  for (const auto& [key, value] : now) {
    const auto was = before.find(key);
    if (was == before.end() || was->second == value || must_be_same(key)) continue;
    append_name(out, fmt::format("{} ({}, now {})", key, printable(was->second, kShown), value));
  }
  return out;
}

std::string changed_environment(const Facts& before, const Facts& now) {
  std::string out;
  for (const auto& [key, value] : now) {
    const auto was = before.find(key);
    if (was == before.end() || was->second != value) append_name(out, key);
  }
  for (const auto& [key, value] : before)
    if (!now.contains(key)) append_name(out, printable(key, kShown));
  return out;
}

}  // namespace longhaul::trainer
