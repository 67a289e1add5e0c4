// `longhaul doctor [SITE]`: this machine, what the user's folders hold, and the way to a site, each
// as findings of one check after the other.
#include "lib/auth/node.hpp"
#include "lib/base/escape.hpp"
#include "lib/cli/exit_code.hpp"
#include "lib/doctor/folder.hpp"
#include "lib/doctor/machine.hpp"
#include "lib/doctor/private_file.hpp"
#include "proxy/ask.hpp"
#include "proxy/commands.hpp"
#include "proxy/connection.hpp"
#include "proxy/files.hpp"
#include "proxy/sites_file.hpp"
#include "proxy/ssh.hpp"

namespace longhaul::proxy {
namespace {

using doctor::Finding;

Finding check_identity(const App& app) {
  Finding file = doctor::check_private_file("identity", app.home.config + "/identity.pem",
                                            "run `longhaul init`");
  if (file.level != doctor::Level::kOk) return file;
  const auto config = private_folder(app.home.config);
  if (!config) return doctor::from_error("identity", config.error(), "check the folder's rights");
  const auto identity = auth::load_identity(**config);
  if (!identity) {
    return doctor::from_error("identity", identity.error(),
                              "remove the file, run `longhaul init` and pair anew");
  }
  return doctor::ok("identity", identity->pin().hex().substr(0, 16));
}

Finding check_sites(const App& app) {
  const auto sites = load_sites(app);
  if (!sites) {
    return doctor::from_error(
        "sites", sites.error(),
        "mend " + app.home.config + "/sites.toml, or remove it and pair anew");
  }
  if (sites->all().empty())
    return doctor::warn("sites", "none is known", "pair with one: `longhaul join --help`");
  return doctor::ok("sites", std::to_string(sites->all().size()) + " known");
}

std::vector<Finding> examine_here(const App& app) {
  std::vector<Finding> out = doctor::examine(doctor::read_facts("/proc", app.env.wall()));
  out.push_back(check_identity(app));
  out.push_back(check_sites(app));
  if (const auto state = private_folder(app.home.state); !state) {
    out.push_back(doctor::from_error("here: folder", state.error(), "give this user the right"));
    return out;
  }
  for (Finding& finding : doctor::examine_folder(app.home.state, "here"))
    out.push_back(std::move(finding));
  return out;
}

std::string fix_for(const Site& site, const Error& error) {
  const std::string& why = error.why();
  if (error.kind() == Kind::kTimeout)
    return "a firewall drops it: open the port, or pair anew with --ssh HOST --tunnel";
  if (why.find("refused") != std::string::npos)
    return "start it there: `longhaul-streamer start --root DIR`; see that it listens on " +
           to_text(site.address);
  if (why.find("ost not found") != std::string::npos)
    return "check the name " + site.address.host +
           " and this machine's DNS; pair again if it moved";
  return "see that the site is up and the network between is";
}

io::Task<Finding> check_connection(App& app, Site site) {
  const char* const check = "connection";
  auto reach = Reach::make(app, site);
  if (!reach) co_return doctor::from_error(check, reach.error(), "see what listens there");
  const std::string way = (*reach)->in_words();
  const Time began = app.env.now();
  if ((*reach)->is_called()) {  // the session below waits for the call
    co_await (*reach)->close();
    co_return doctor::ok(check, way);
  }
  const auto dialed = co_await (*reach)->dial(false);
  const auto took = (app.env.now() - began).count() / 1'000'000;
  if (!dialed) co_return doctor::from_error(check, dialed.error(), fix_for(site, dialed.error()));
  (*dialed)->close();
  co_await (*reach)->close();
  co_return doctor::ok(check, way + ", in " + std::to_string(took) + " ms");
}

io::Task<Finding> check_session(App& app, Site site) {
  const char* const check = "key and role";
  const Asked asked{site.name, wire::AskType::kDatasets};
  const Result<Answer> answer = co_await ask(app, asked);
  if (!answer) {
    co_return doctor::from_error(
        check, answer.error(),
        "pair again: `longhaul-streamer invite` there, `longhaul join` here");
  }
  if (answer->refused)
    co_return doctor::from_error(check, *answer->refused, "ask the site's owner for another role");
  co_return doctor::ok(check, "it is " + site.pin.substr(0, 16) + ", we are its " + site.role);
}

// Whether UDP gets through, which only a session can tell: a port that is silent to strangers looks
// like one that is blocked.
io::Task<Finding> check_datagrams(App& app, Site site) {
  using session::ChoiceReason;
  constexpr Duration kPatience = 5s;
  const char* const check = "UDP";
  if (!is_direct(site)) co_return doctor::ok(check, "not for a site reached this way: TLS only");
  const ConnectOptions plain;
  auto made = Connection::make(app, site, plain);
  if (!made) co_return doctor::from_error(check, made.error(), "see the findings above");
  const std::unique_ptr<Connection> connection = *std::move(made);
  const Time until = app.env.now() + kPatience;
  session::Status status;
  while (app.env.now() < until && !connection->ended()) {
    status = connection->session().status();
    const bool undecided = !status.established || status.choice == ChoiceReason::kTrying;
    if (!undecided) break;
    const Time soon = app.env.now() + 20ms;
    co_await connection->changed(soon);
  }
  co_await connection->close();
  if (status.datagrams && status.choice != ChoiceReason::kTrying) {
    co_return doctor::ok(
        check, "answered, packets of " + std::to_string(status.packet_bytes) + " bytes or more");
  }
  if (status.choice == ChoiceReason::kNone) {
    co_return doctor::warn(check, "not spoken: off here (udp = \"off\"), or by the streamer there",
                           "leave it on, for speed; TLS carries everything meanwhile");
  }
  co_return doctor::warn(
      check, "no answer: everything goes over TLS",
      "let UDP to port " + std::to_string(site.address.port) + " through, for speed alone");
}

io::Task<std::vector<Finding>> examine_site(App& app, std::string name) {
  std::vector<Finding> out;
  const auto sites = load_sites(app);
  if (!sites) co_return out;  // examine_here has said why
  const auto found = sites->find(name);
  if (!found) {
    out.push_back(doctor::from_error("site", found.error(), "see `longhaul sites`"));
    co_return out;
  }
  out.push_back(doctor::ok("site", name + " " + way_to(*found)));
  Finding connection = co_await check_connection(app, *found);
  const bool reached = connection.level == doctor::Level::kOk;
  out.push_back(std::move(connection));
  if (!reached) co_return out;
  Finding session = co_await check_session(app, *found);
  const bool known = session.level == doctor::Level::kOk;
  out.push_back(std::move(session));
  if (!known) co_return out;
  Finding datagrams = co_await check_datagrams(app, *found);
  out.push_back(std::move(datagrams));
  co_return out;
}

void say(App& app, const Finding& finding) {
  if (!app.json) {
    app.console.out(doctor::to_text(finding));
    return;
  }
  cli::JsonLine line;
  line.add("level", doctor::name_of(finding.level)).add("check", finding.check);
  line.add("found", finding.found).add("fix", finding.fix);
  app.json_line(line);
}

}  // namespace

io::Task<int> doctor(App& app, DoctorOptions options) {
  std::vector<Finding> findings = examine_here(app);
  for (const Finding& finding : findings) say(app, finding);
  if (!options.site.empty()) {
    const std::vector<Finding> there = co_await examine_site(app, options.site);
    for (const Finding& finding : there) say(app, finding);
    findings.insert(findings.end(), there.begin(), there.end());
    if (!app.json)
      app.console.err(
          "the site's own disk and kernel: `longhaul-streamer doctor --root DIR` there\n");
  }
  co_return doctor::worst(findings) == doctor::Level::kFail ? cli::kError : cli::kOk;
}

}  // namespace longhaul::proxy
