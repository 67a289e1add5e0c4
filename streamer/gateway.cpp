#include "streamer/gateway.hpp"

#include <fcntl.h>

#include <cerrno>

#include "lib/base/escape.hpp"
#include "lib/cli/exit_code.hpp"
#include "lib/cli/explain.hpp"
#include "lib/cli/json_line.hpp"
#include "lib/gateway/site_files.hpp"
#include "streamer/running.hpp"

namespace longhaul::streamer {
namespace {

using store::TreeName;

constexpr std::string_view kEnding = ".pass";
constexpr std::size_t kNamesAtOnce = 256;

TreeName folder() {
  return TreeName::known("gateway");
}
TreeName file_of(std::string_view run) {
  return TreeName::known(std::string(run) + std::string(kEnding)).under(folder());
}

int failed(cli::Console& console, const Error& error) {
  console.err(cli::to_text(cli::explain(error), "longhaul-streamer"));
  return cli::exit_code_of(error.kind());
}

Result<std::vector<gateway::Pass>> read_passes(store::Files& node) {
  std::vector<gateway::Pass> out;
  auto listed = node.open_folder(folder());
  if (!listed && listed.error().kind() == Kind::kNotFound) return out;
  const auto open = TRY(std::move(listed));
  for (;;) {
    const auto names = TRY(open->next(kNamesAtOnce));
    if (names.empty()) return out;
    for (const auto& entry : names) {
      if (!entry.name.ends_with(kEnding)) continue;
      const auto text =
          store::read_whole(node, TRY(folder().child(entry.name)), gateway::kPassBytesMax);
      if (!text) continue;  // revoked just now
      if (auto pass = gateway::parse_pass(text_of(*text))) out.push_back(*std::move(pass));
    }
  }
}

// On the gateway's thread.
class PassFiles final : public gateway::Passes {
 public:
  explicit PassFiles(std::shared_ptr<io::PosixFiles> node) : node_(std::move(node)) {}
  std::vector<gateway::Pass> read() override {
    auto passes = read_passes(*node_);
    if (passes) last_ = *std::move(passes);
    return last_;  // a disk that fails for a moment revokes nobody
  }

 private:
  const std::shared_ptr<io::PosixFiles> node_;
  std::vector<gateway::Pass> last_;
};

// The site's own, made at first.
Result<gateway::KeyPair> site_keys(store::Files& node) {
  const TreeName name = TreeName::known("site.keys").under(folder());
  const auto text = store::read_whole(node, name, gateway::kPassBytesMax);
  if (!text && text.error().kind() != Kind::kNotFound) return fail(text.error());
  if (text) {
    const std::string_view whole = text_of(*text);
    const std::size_t line = gateway::kKeyTextBytes;
    if (whole.size() == 2 * (line + 1) && whole[line] == '\n' && whole.back() == '\n')
      return gateway::KeyPair{std::string(whole.substr(0, line)),
                              std::string(whole.substr(line + 1, line))};
    return fail(Error(Kind::kMalformed, "read the gateway's keys", "site.keys is damaged")
                    .advise("remove .longhaul/gateway in the root, and make new passes"));
  }
  const auto keys = TRY(gateway::make_keys(*gateway::linked_zmq()));
  if (auto made = node.make_folder(folder()); !made && made.error().kind() != Kind::kExists)
    return fail(made.error());
  TRY(store::write_whole(node, name, bytes_of(keys.open + "\n" + keys.secret + "\n"), 0600));
  return keys;
}

// tcp://0.0.0.0:7710, as others on the LAN say it.
std::string as_reached(const std::string& at, const std::string& host) {
  for (const std::string_view any : {"tcp://0.0.0.0:", "tcp://[::]:", "tcp://*:"})
    if (at.starts_with(any)) return "tcp://" + host + ":" + at.substr(any.size());
  return at;
}

Result<gateway::Pass> make_pass(const Root& root, const GatewayOptions& options) {
  if (!gateway::is_run_name(options.run)) {
    return fail(Error(Kind::kUsage, "make a pass for '" + printable(options.run, 100) + "'",
                      "that is no name for a file")
                    .advise("1 to 64 letters, digits, '-', '_' and '.'"));
  }
  gateway::Pass pass;
  pass.run = options.run;
  pass.at = options.at;
  if (pass.at.empty()) {
    const auto running = load_running(root);
    if (!running || running->gateway.empty()) {
      return fail(Error(Kind::kUsage, "make a pass", "no gateway was opened here so far")
                      .advise("start the streamer with --gateway tcp://0.0.0.0:7710, or say --at"));
    }
    pass.at = as_reached(running->gateway, running->host);
  }
  TRY(gateway::judge_endpoint(pass.at));
  pass.site_key = TRY(site_keys(*root.node)).open;
  const auto ours = TRY(gateway::make_keys(*gateway::linked_zmq()));
  pass.our_key = ours.open;
  pass.our_secret = ours.secret;
  TRY(store::write_whole(*root.node, file_of(pass.run), bytes_of(to_text(pass)), 0600));
  return pass;
}

}  // namespace

Result<std::unique_ptr<gateway::GatewayServer>> open_gateway(const Root& root,
                                                             const std::string& at) {
  const auto beneath =
      std::make_shared<io::Beneath>(TRY(io::Beneath::at(root.path, io::Resolve::kByKernel)));
  gateway::ServerOptions options;
  options.at = at;
  options.keys = TRY(site_keys(*root.node));
  options.passes = std::make_unique<PassFiles>(root.node);
  options.make_site = [beneath, path = root.path]() -> Result<std::unique_ptr<gateway::Site>> {
    return TRY(gateway::SiteFiles::open(path, [beneath](const TreeName& name) {
      auto file = beneath->open(name, O_RDONLY | O_NONBLOCK);
      if (file) return file->release();
      errno = file.error().os() != 0 ? file.error().os() : ELOOP;
      return -1;
    }));
  };
  return gateway::GatewayServer::start(*gateway::linked_zmq(), std::move(options));
}

int gateway_pass(cli::Console& console, const GatewayOptions& options) {
  const auto root = open_root(options.root);
  if (!root) return failed(console, root.error());
  const auto pass = make_pass(*root, options);
  if (!pass) return failed(console, pass.error());
  const std::string path = root->path + "/.longhaul/" + file_of(pass->run).text();
  if (options.json) {
    cli::JsonLine line;
    line.add("run", pass->run).add("pass", path).add("at", pass->at);
    console.out(line.text() + "\n");
  } else {
    console.out(path + "\n");
    console.err(
        "give the run's hosts this file, and it as `gateway:FILE` in place of the ROOT; it leads "
        "to " +
        printable(pass->at) + "\n");
  }
  return cli::kOk;
}

int gateway_list(cli::Console& console, const GatewayOptions& options) {
  const auto root = open_root(options.root);
  if (!root) return failed(console, root.error());
  const auto passes = read_passes(*root->node);
  if (!passes) return failed(console, passes.error());
  for (const gateway::Pass& pass : *passes) {
    if (options.json) {
      cli::JsonLine line;
      line.add("run", pass.run).add("at", pass.at);
      console.out(line.text() + "\n");
    } else {
      console.out(pass.run + "  " + pass.at + "\n");
    }
  }
  return cli::kOk;
}

int gateway_revoke(cli::Console& console, const GatewayOptions& options) {
  const auto root = open_root(options.root);
  if (!root) return failed(console, root.error());
  const bool named = gateway::is_run_name(options.run);
  const auto gone = named ? root->node->remove(file_of(options.run)) : Result<>();
  if (!named || (!gone && gone.error().kind() == Kind::kNotFound)) {
    return failed(console,
                  Error(Kind::kNotFound, "revoke the pass of '" + printable(options.run, 100) + "'",
                        "there is none")
                      .advise("`longhaul-streamer gateway ls` lists them"));
  }
  if (!gone) return failed(console, gone.error());
  if (options.json) {
    cli::JsonLine line;
    line.add("run", options.run).add("revoked", true);
    console.out(line.text() + "\n");
  } else {
    console.err("revoked: its readers hear no more within " +
                std::to_string(gateway::kPassesReadEach / 1s) + " s\n");
  }
  return cli::kOk;
}

}  // namespace longhaul::streamer
