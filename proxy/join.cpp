#include <unistd.h>

#include <array>

#include "lib/cli/exit_code.hpp"
#include "proxy/commands.hpp"
#include "proxy/joining.hpp"

namespace longhaul::proxy {
namespace {

// A site that calls tries at least once in five seconds.
constexpr Duration kCallTime = 60s;

io::Task<> close_at(io::Env& env, Callers& callers, Time when) {
  co_await env.sleep_until(when);
  co_await callers.close();
}

// Whoever calls may be a stranger: the next may be the one.
io::Task<Result<auth::Paired>> pair_with_caller(App& app, const crypto::Identity& identity,
                                                const auth::InviteLine& invite, Callers& callers) {
  io::TaskGroup deadline(app.env.executor());
  const Time until = app.env.now() + kCallTime;
  deadline.spawn(close_at(app.env, callers, until));
  app.when_stopped([&] { deadline.spawn(callers.close()); });
  Result<auth::Paired> paired = fail(
      Error(Kind::kTimeout, "pair on " + to_text(callers.local()), "the site has not called")
          .advise("see that `longhaul-streamer run --dial` there names this machine and port"));
  for (;;) {
    Result<std::unique_ptr<io::Stream>> caller = co_await callers.take();
    if (!caller) break;
    std::unique_ptr<io::Stream> stream = *std::move(caller);
    Result<auth::Paired> answer =
        co_await pair(app.env, identity, invite, own_name(), std::move(stream));
    if (!answer && answer.error().kind() == Kind::kLink) continue;
    paired = std::move(answer);
    if (paired || paired.error().attempt() == "pair") break;  // the invited one has judged us
  }
  app.on_stop = nullptr;
  deadline.cancel();
  co_await deadline.join();
  co_return paired;
}

io::Task<Result<auth::Paired>> pair_with(App& app, const crypto::Identity& identity,
                                         const auth::InviteLine& invite, std::string listen) {
  if (listen.empty()) co_return co_await pair_at(app, identity, invite);
  const auto at = io::parse_endpoint(listen);
  if (!at) co_return fail(at.error());
  auto callers = Callers::listen(app.env, *at);
  if (!callers) co_return fail(callers.error());
  app.console.err("waiting for the site's call on " + to_text((*callers)->local()) + "\n");
  Result<auth::Paired> paired = co_await pair_with_caller(app, identity, invite, **callers);
  co_await (*callers)->close();
  co_return paired;
}

}  // namespace

std::string own_name() {
  std::array<char, 256> name{};
  if (::gethostname(name.data(), name.size() - 1) != 0) return "laptop";
  return name.data();
}

io::Task<Result<auth::Paired>> pair_at(App& app, const crypto::Identity& identity,
                                       const auth::InviteLine& invite) {
  const Result<io::Endpoint> address = io::parse_endpoint(invite.address);
  if (!address) co_return fail(address.error());
  const io::StreamOptions options;
  const io::Endpoint to = *address;
  Result<std::unique_ptr<io::Stream>> dialed = co_await app.env.dial(to, options);
  if (!dialed) co_return fail(dialed.error());
  std::unique_ptr<io::Stream> stream = *std::move(dialed);
  co_return co_await pair(app.env, identity, invite, own_name(), std::move(stream));
}

int keep_site(App& app, const Site& site) {
  const auto kept = change_sites(app, [&](Sites& sites) { return sites.add(site); });
  if (!kept) return app.failed(kept.error());
  if (app.json) {
    cli::JsonLine line;
    line.add("name", site.name).add("address", to_text(site.address)).add("role", site.role);
    line.add("pin", site.pin).add("tunnel", site.tunnel).add("listen", site.listen);
    app.json_line(line);
  } else {
    app.console.err("paired with " + site.name + " " + way_to(site) + " as " + site.role + "\n");
  }
  return cli::kOk;
}

io::Task<int> join(App& app, JoinOptions options) {
  const auto named = check_name(options.name, "site");
  if (!named) co_return app.failed(named.error());
  const auto invite = auth::parse_invite(options.invite_line);
  if (!invite) co_return app.failed(invite.error());
  const auto address = io::parse_endpoint(invite->address);
  if (!address) co_return app.failed(address.error());
  const auto identity = own_identity(app);
  if (!identity) co_return app.failed(identity.error());
  const auto paired = co_await pair_with(app, *identity, *invite, options.listen);
  if (!paired) co_return app.failed(paired.error());
  Site site{options.name, *address, to_hex(paired->inviter), std::string(name_of(paired->granted)),
            ""};
  site.listen = options.listen;
  co_return keep_site(app, site);
}

}  // namespace longhaul::proxy
