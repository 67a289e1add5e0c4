#include "proxy/sites_file.hpp"

#include "proxy/files.hpp"

namespace longhaul::proxy {
namespace {

constexpr std::size_t kSitesFileMax = 1U << 20;
constexpr std::uint32_t kPrivateMode = 0600;

store::TreeName sites_name() {
  return store::TreeName::known("sites.toml");
}

Result<Sites> load(store::Files& config) {
  const auto text = store::read_whole(config, sites_name(), kSitesFileMax);
  if (!text && text.error().kind() == Kind::kNotFound) return Sites();
  if (!text) return fail(text.error());
  return Sites::parse(text_of(*text));
}

}  // namespace

Result<Sites> load_sites(const App& app) {
  const auto config = TRY(private_folder(app.home.config));
  return load(*config);
}

Result<> change_sites(const App& app, const std::function<Result<>(Sites&)>& change) {
  const auto config = TRY(private_folder(app.home.config));
  const auto held = TRY(config->lock(store::TreeName::known("sites.lock")));
  Sites sites = TRY(load(*config));
  TRY(change(sites));
  return store::write_whole(*config, sites_name(), bytes_of(sites.text()), kPrivateMode);
}

}  // namespace longhaul::proxy
