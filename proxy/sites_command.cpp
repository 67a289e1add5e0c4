#include <fmt/format.h>

#include "lib/cli/exit_code.hpp"
#include "proxy/commands.hpp"
#include "proxy/sites_file.hpp"

namespace longhaul::proxy {
namespace {

void show(App& app, const Site& site) {
  if (app.json) {
    cli::JsonLine line;
    line.add("name", site.name).add("address", to_text(site.address)).add("role", site.role);
    line.add("pin", site.pin).add("tunnel", site.tunnel).add("root", site.root);
    line.add("listen", site.listen);
    app.json_line(line);
    return;
  }
  app.console.out(fmt::format("{:<20} {:<35} {:<9} {}\n", site.name, way_to(site), site.role,
                              site.pin.substr(0, 16)));
}

}  // namespace

io::Task<int> sites(App& app, SitesOptions options) {
  if (!options.forget.empty()) {
    const auto changed =
        change_sites(app, [&](Sites& known) { return known.remove(options.forget); });
    if (!changed) co_return app.failed(changed.error());
    app.console.err(options.forget +
                    " is forgotten here; there, `longhaul-streamer peers revoke` ends it\n");
    co_return cli::kOk;
  }
  const auto known = load_sites(app);
  if (!known) co_return app.failed(known.error());
  if (known->all().empty()) app.console.err("no site yet; `longhaul join NAME` pairs with one\n");
  for (const Site& site : known->all()) show(app, site);
  co_return cli::kOk;
}

}  // namespace longhaul::proxy
