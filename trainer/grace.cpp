#include "trainer/grace.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <chrono>

namespace longhaul::trainer {
namespace {

bool is_space(char c) {
  return c == ' ' || c == '\n' || c == '\t';
}

// Of "NAME=value" or "NAME   = value", up to the next space; empty: there is none such.
std::string_view value_of(std::string_view text, std::string_view name) {
  for (auto at = text.find(name); at != std::string_view::npos; at = text.find(name, at + 1)) {
    if (at > 0 && !is_space(text[at - 1])) continue;
    std::string_view rest = text.substr(at + name.size());
    rest.remove_prefix(std::min(rest.size(), rest.find_first_not_of(' ')));
    if (!rest.starts_with('=')) continue;
    rest.remove_prefix(1);
    rest.remove_prefix(std::min(rest.size(), rest.find_first_not_of(' ')));
    return rest.substr(0, std::min(rest.size(), rest.find_first_of(" \n\t")));
  }
  return {};
}

std::optional<std::int64_t> seconds_in(std::string_view text) {
  constexpr std::int64_t kMost = 6'000'000'000;  // 2160; in ns, it fits a Duration
  std::int64_t value = 0;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), value);
  if (read.ec != std::errc() || read.ptr != text.data() + text.size()) return std::nullopt;
  return value >= 0 && value < kMost ? std::optional(value) : std::nullopt;
}

double seconds_of(Duration span) {
  return std::chrono::duration<double>(span).count();
}

}  // namespace

std::optional<Duration> slurm_grace(std::string_view job, std::string_view config,
                                    std::int64_t now_s) {
  const auto end = seconds_in(value_of(job, "EndTime"));  // "Unknown" while it is requeued
  if (value_of(job, "JobState") == "RUNNING" && end && *end > now_s)
    return std::chrono::seconds(*end - now_s);
  if (job.find("JobState=") == std::string_view::npos) return std::nullopt;
  const auto wait = seconds_in(value_of(config, "KillWait"));
  if (!wait) return std::nullopt;
  const std::int64_t since = end && *end <= now_s ? now_s - *end : 0;
  return std::chrono::seconds(std::max<std::int64_t>(0, *wait - since));
}

std::optional<std::string> too_late(Time now, std::optional<Time> end,
                                    std::optional<Duration> last_took) {
  if (!end || !last_took || now + *last_took <= *end) return std::nullopt;
  return fmt::format("the last one took {:.1f} s, and {:.1f} s are left until this job is killed",
                     seconds_of(*last_took), std::max(0.0, seconds_of(*end - now)));
}

}  // namespace longhaul::trainer
