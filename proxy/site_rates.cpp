#include "proxy/site_rates.hpp"

#include <algorithm>
#include <charconv>
#include <optional>

#include "lib/cli/toml_sections.hpp"
#include "proxy/files.hpp"

namespace longhaul::proxy {
namespace {

constexpr std::size_t kRatesFileMax = 4096;
constexpr std::uint64_t kManyFiles = 500;  // from here on the files make the time
constexpr Duration kTookMax = 1h;          // a site's word: not more than that

Result<store::TreeName> file_of(const std::string& site) {
  return store::TreeName::parse("rates/" + site);
}

}  // namespace

SiteRates learned(SiteRates rates, const PushTimes& times) {
  if (times.rate.value() > 0)
    rates.rate = rates.rate.value() == 0
                     ? times.rate
                     : BytesPerSecond((rates.rate.value() + times.rate.value()) / 2);
  const Duration took = std::min(times.publish, kTookMax);
  if (times.files < kManyFiles) {
    rates.publish = took;
    return rates;
  }
  const Duration rest = std::max(took - rates.publish, Duration::zero());
  rates.publish_per_file = rest / static_cast<std::int64_t>(times.files);
  return rates;
}

std::string rates_text(const SiteRates& rates) {
  cli::Sections sections;
  sections["site"] = {{"publish_ns", std::to_string(rates.publish.count())},
                      {"publish_per_file_ns", std::to_string(rates.publish_per_file.count())},
                      {"rate_bytes_per_second", std::to_string(rates.rate.value())}};
  return cli::write_sections(sections);
}

SiteRates rates_in(std::string_view text) {
  const auto sections = cli::read_sections(text, "site");
  if (!sections || !sections->contains("site")) return {};
  const auto& values = sections->at("site");
  const auto number = [&](const char* key, std::int64_t most) -> std::optional<std::int64_t> {
    const auto found = values.find(key);
    std::int64_t value = 0;
    if (found == values.end()) return std::nullopt;
    const std::string& digits = found->second;
    const auto [end, status] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    const bool whole = status == std::errc{} && end == digits.data() + digits.size();
    return whole && value >= 0 && value <= most ? std::optional(value) : std::nullopt;
  };
  const auto publish = number("publish_ns", kTookMax.count());
  const auto per_file = number("publish_per_file_ns", kTookMax.count());
  const auto rate = number("rate_bytes_per_second", INT64_MAX);
  if (!publish || !per_file || !rate) return {};
  SiteRates out;
  out.publish = Duration(*publish);
  out.publish_per_file = Duration(*per_file);
  out.rate = BytesPerSecond(static_cast<std::uint64_t>(*rate));
  return out;
}

SiteRates load_rates(const App& app, const std::string& site) {
  const auto state = private_folder(app.home.state);
  const auto name = file_of(site);
  if (!state || !name) return {};
  const auto text = store::read_whole(**state, *name, kRatesFileMax);
  return text ? rates_in(text_of(*text)) : SiteRates{};
}

void learn_push(const App& app, const std::string& site, const PushTimes& times) {
  const auto state = private_folder(app.home.state);
  const auto name = file_of(site);
  if (!state || !name) return;
  static_cast<void>(store::make_folders(**state, name->parent()));
  const std::string text = rates_text(learned(load_rates(app, site), times));
  static_cast<void>(store::write_whole(**state, *name, bytes_of(text)));
}

}  // namespace longhaul::proxy
