#include <unistd.h>

#include <array>

#include "lib/auth/node.hpp"
#include "lib/cli/exit_code.hpp"
#include "proxy/commands.hpp"
#include "proxy/files.hpp"
#include "proxy/pair.hpp"
#include "proxy/sites_file.hpp"

namespace longhaul::proxy {
namespace {

std::string own_name() {
  std::array<char, 256> name{};
  if (::gethostname(name.data(), name.size() - 1) != 0) return "laptop";
  return name.data();
}

Result<crypto::Identity> own_identity(const App& app) {
  const auto config = TRY(private_folder(app.home.config));
  return TRY(auth::make_identity(*config)).identity;
}

}  // namespace

io::Task<int> join(App& app, JoinOptions options) {
  const auto named = check_name(options.name, "site");
  if (!named) co_return app.failed(named.error());
  const auto invite = auth::parse_invite(options.invite_line);
  if (!invite) co_return app.failed(invite.error());
  const auto identity = own_identity(app);
  if (!identity) co_return app.failed(identity.error());
  const Result<PairedSite> paired = co_await pair(app.env, *identity, *invite, own_name());
  if (!paired) co_return app.failed(paired.error());
  Site site{options.name, paired->address, to_hex(paired->site.inviter),
            std::string(name_of(paired->site.granted)), ""};
  const auto kept = change_sites(app, [&](Sites& sites) { return sites.add(site); });
  if (!kept) co_return app.failed(kept.error());
  if (app.json) {
    cli::JsonLine line;
    line.add("name", site.name).add("address", to_text(site.address)).add("role", site.role);
    line.add("pin", site.pin);
    app.json_line(line);
  } else {
    app.console.err("paired with " + site.name + " at " + to_text(site.address) + " as " +
                    site.role + "\n");
  }
  co_return cli::kOk;
}

}  // namespace longhaul::proxy
