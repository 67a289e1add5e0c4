#include "lib/auth/node.hpp"
#include "lib/cli/exit_code.hpp"
#include "proxy/commands.hpp"
#include "proxy/files.hpp"

namespace longhaul::proxy {
namespace {

Result<auth::MadeIdentity> make(const App& app) {
  const auto config = TRY(private_folder(app.home.config));
  TRY(private_folder(app.home.state));
  return auth::make_identity(*config);
}

}  // namespace

io::Task<int> init(App& app) {
  const auto made = make(app);
  if (!made) co_return app.failed(made.error());
  const bool is_new = made->made == auth::Made::kNew;
  if (app.json) {
    cli::JsonLine line;
    line.add("pin", made->identity.pin().hex()).add("new", is_new).add("folder", app.home.config);
    app.json_line(line);
  } else {
    app.console.out(made->identity.pin().hex() + "\n");
    app.console.err(is_new ? "this node's identity is new; it lives in " + app.home.config +
                                 "/identity.pem: keep it to yourself\n"
                           : "this node had its identity already\n");
  }
  co_return cli::kOk;
}

}  // namespace longhaul::proxy
