#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <fstream>
#include <iterator>
#include <optional>
#include <sstream>

#include "lib/base/escape.hpp"
#include "lib/cli/human.hpp"
#include "lib/io/posix_files.hpp"
#include "proxy/commands.hpp"
#include "proxy/joining.hpp"
#include "proxy/ssh.hpp"

namespace longhaul::proxy {
namespace {

constexpr std::string_view kMark = "longhaul-probe 1";  // after whatever a login shell prints
constexpr std::string_view kArchitecture = "Linux x86_64";
constexpr std::size_t kStreamerMax = 256U << 20;
constexpr std::size_t kUploadPart = 1U << 20;

// What the far end said after the mark, line by line.
struct Probed {
  std::string system;   // "Linux x86_64"
  std::string version;  // "0.1.0"; empty: there is no streamer
  std::string invite;   // empty: none was asked for
};

Result<Probed> read_probe(const SshAnswer& answer, const std::string& host) {
  const std::string attempt = "start a streamer at " + printable(host, 80);
  std::istringstream lines(answer.out);
  std::string line;
  bool marked = false;
  Probed out;
  for (int at = 0; std::getline(lines, line);) {
    if (!marked) {
      marked = line == kMark;
      continue;
    }
    if (at == 0) out.system = printable(line, 80);
    if (at == 1 && line.starts_with("longhaul-streamer ")) out.version = line.substr(18);
    if (line.find('#') != std::string::npos) out.invite = line;
    ++at;
  }
  if (!marked) {
    return fail(
        Error(Kind::kLink, "reach " + printable(host, 80) + " by ssh",
              answer.error.empty() ? fmt::format("ssh ended with code {}", answer.code)
                                   : answer.error)
            .advise("see that `ssh " + printable(host, 80) + " true` works, then run it again"));
  }
  if (answer.code != 0) {
    return fail(Error(Kind::kIo, attempt,
                      answer.error.empty() ? fmt::format("it ended with code {}", answer.code)
                                           : answer.error)
                    .advise("look at what `longhaul-streamer start` says there"));
  }
  return out;
}

std::optional<std::array<unsigned, 3>> numbers_of(const std::string& version) {
  std::array<unsigned, 3> out{};
  const char* at = version.data();
  const char* const end = at + version.size();
  for (std::size_t i = 0; i < out.size(); ++i) {
    if (i > 0 && (at == end || *at++ != '.')) return std::nullopt;
    const auto [rest, status] = std::from_chars(at, end, out[i]);
    if (status != std::errc{}) return std::nullopt;
    at = rest;
  }
  return at == end ? std::optional(out) : std::nullopt;
}

// Starts it and prints an invite. Standard input of these is ssh's, which they must not read.
std::string go(const JoinBySshOptions& options) {
  const std::string listen = options.tunnel ? " --listen 127.0.0.1:0" : "";
  const std::string state = options.state.empty() ? "" : " --state " + options.state;
  return "longhaul-streamer start --root " + options.root + state + listen +
         " </dev/null && longhaul-streamer invite --root " + options.root + " --role " +
         options.role + " </dev/null";
}

std::string probe_script(const JoinBySshOptions& options, const std::string& version) {
  return std::string(kRemotePath) +
         "v=`longhaul-streamer version 2>/dev/null </dev/null` || v=none; echo \"" +
         std::string(kMark) + "\"; uname -sm; echo \"$v\"; if [ \"$v\" = \"longhaul-streamer " +
         version + "\" ]; then " + go(options) + "; fi";
}

// Nothing stands under the final name before all of it is there and has shown that it runs.
std::string upload_script(const JoinBySshOptions& options, std::size_t size) {
  constexpr std::string_view kPut =
      "umask 077; mkdir -p \"$HOME/.longhaul/bin\" && cd \"$HOME/.longhaul/bin\" || exit 1; "
      "n=.new-$$; trap \"rm -f $n\" EXIT; cat >$n && chmod 700 $n || exit 1; "
      "s=`wc -c <$n`; [ $s -eq SIZE ] || { echo \"only $s bytes arrived\" >&2; exit 1; }; "
      "v=`./$n version` || { echo \"the streamer does not run there\" >&2; exit 1; }; "
      "mv -f $n longhaul-streamer || exit 1; cd; uname -sm; echo \"$v\"; ";
  std::string put(kPut);
  put.replace(put.find("SIZE"), 4, std::to_string(size));
  const std::string stop = "longhaul-streamer stop --root " + options.root + " </dev/null";
  return std::string(kRemotePath) + "echo \"" + std::string(kMark) + "\"; " + put + stop + " && " +
         go(options);
}

Result<std::vector<Slice>> load_streamer(const std::string& chosen) {
  std::vector<std::string> places;
  if (!chosen.empty()) {
    places.push_back(chosen);
  } else {
    std::array<char, 4096> own{};
    const ssize_t length = ::readlink("/proc/self/exe", own.data(), own.size() - 1);
    const std::string path(own.data(), length > 0 ? static_cast<std::size_t>(length) : 0);
    const std::string folder = path.substr(0, path.rfind('/'));
    for (const char* beside :
         {"/longhaul-streamer-static", "/../libexec/longhaul/longhaul-streamer-static",
          "/../longhaul-streamer/longhaul-streamer-static"})
      places.push_back(folder + beside);
  }
  for (const std::string& place : places) {
    std::ifstream file(place, std::ios::binary);
    std::vector<Slice> parts;
    std::string part(kUploadPart, '\0');
    std::size_t total = 0;
    while (file && total < kStreamerMax) {
      file.read(part.data(), static_cast<std::streamsize>(part.size()));
      const auto count = static_cast<std::size_t>(file.gcount());
      total += count;
      if (count > 0) parts.push_back(Slice::copy_of(std::string_view(part).substr(0, count)));
    }
    if (!parts.empty()) return parts;
  }
  return fail(Error(Kind::kNotFound, "find the streamer to put there",
                    "it is not at " + printable(places.front(), 200))
                  .advise("name it with --streamer FILE (the build makes "
                          "longhaul-streamer-static), or install longhaul there"));
}

std::size_t size_of(const std::vector<Slice>& parts) {
  std::size_t size = 0;
  for (const Slice& part : parts) size += part.size();
  return size;
}

Result<> check(const JoinBySshOptions& options) {
  TRY(check_name(options.name, "site"));
  TRY(check_destination(options.host));
  TRY(check_plain(options.root, "a root"));
  if (!options.state.empty()) TRY(check_plain(options.state, "a state folder"));
  if (!auth::role_named(options.role))
    return fail(Error(Kind::kUsage, "join as '" + printable(options.role, 40) + "'",
                      "there is no such role")
                    .advise("roles are owner, observer and site"));
  return {};
}

io::Task<Result<Probed>> run_script(App& app, std::string host, std::string script,
                                    std::vector<Slice> input = {}) {
  std::vector<std::string> words = ssh_words(app, host, script);
  const Result<SshAnswer> answer = co_await ask_ssh(app, std::move(words), std::move(input));
  if (!answer) co_return fail(answer.error());
  co_return read_probe(*answer, host);
}

io::Task<Result<Probed>> put_and_start(App& app, JoinBySshOptions options, Probed probed) {
  if (probed.system != kArchitecture) {
    co_return fail(
        Error(Kind::kUnsupported, "put a streamer on " + printable(options.host, 80),
              "it is '" + probed.system + "', the one here is for " + std::string(kArchitecture))
            .advise("build longhaul there and put longhaul-streamer into its PATH"));
  }
  Result<std::vector<Slice>> parts = load_streamer(options.streamer);
  if (!parts) co_return fail(parts.error());
  const std::size_t size = size_of(*parts);
  app.console.err(fmt::format("putting a streamer there: {}, into ~/.longhaul/bin\n",
                              cli::human(ByteCount(size))));
  std::string host = options.host;
  std::string script = upload_script(options, size);
  co_return co_await run_script(app, std::move(host), std::move(script), *std::move(parts));
}

io::Task<Result<auth::InviteLine>> fetch_invite(App& app, JoinBySshOptions options) {
  const std::string host = options.host;
  Result<Probed> probed = co_await run_script(app, host, probe_script(options, options.version));
  if (!probed) co_return fail(probed.error());
  if (probed->invite.empty()) {
    const auto theirs = numbers_of(probed->version), ours = numbers_of(options.version);
    if (theirs && ours && *theirs >= *ours) {  // a newer one stays: others use it
      probed = co_await run_script(app, host, probe_script(options, probed->version));
    } else {
      const Probed found = *probed;
      probed = co_await put_and_start(app, options, found);
    }
  }
  if (!probed) co_return fail(probed.error());
  co_return auth::parse_invite(probed->invite);
}

// The host's own name for what ssh calls by an alias: `ssh -G` says it without connecting.
io::Task<std::string> real_host(App& app, std::string host) {
  std::vector<std::string> words = ssh_words(app, host, "true");
  words.pop_back();
  words.insert(words.end() - 2, "-G");
  const std::vector<Slice> nothing;
  const Result<SshAnswer> answer = co_await ask_ssh(app, std::move(words), nothing);
  std::string name = host.substr(host.find('@') + 1);
  if (!answer || answer->code != 0) co_return name;
  std::istringstream lines(answer->out);
  for (std::string line; std::getline(lines, line);)
    if (line.starts_with("hostname ")) name = line.substr(9);
  co_return name;
}

io::Task<Result<auth::Paired>> pair_through(App& app, const crypto::Identity& identity,
                                            const auth::InviteLine& invite,
                                            const JoinBySshOptions& options) {
  if (!options.tunnel) {
    const Result<auth::Paired> paired = co_await pair_at(app, identity, invite);
    if (paired) co_return paired;
    const Error& error = paired.error();
    if (error.kind() != Kind::kLink && error.kind() != Kind::kTimeout) co_return paired;
    const std::string why = error.why() + "; the streamer runs there, but we cannot reach its port";
    co_return fail(Error(error.kind(), error.attempt(), why)
                       .advise("add --tunnel: everything then goes through ssh"));
  }
  Result<std::unique_ptr<io::Stream>> dialed =
      co_await dial_by_ssh(app, options.host, options.root);
  if (!dialed) co_return fail(dialed.error());
  std::unique_ptr<io::Stream> stream = *std::move(dialed);
  co_return co_await pair(app.env, identity, invite, own_name(), std::move(stream));
}

}  // namespace

io::Task<int> join_by_ssh(App& app, JoinBySshOptions options) {
  const auto fit = check(options);
  if (!fit) co_return app.failed(fit.error());
  const auto identity = own_identity(app);
  if (!identity) co_return app.failed(identity.error());
  Result<auth::InviteLine> invite = co_await fetch_invite(app, options);
  if (!invite) co_return app.failed(invite.error());
  auto address = io::parse_endpoint(invite->address);
  if (!address) co_return app.failed(address.error());
  address->host = co_await real_host(app, options.host);
  invite->address = to_text(*address);
  const auto paired = co_await pair_through(app, *identity, *invite, options);
  if (!paired) co_return app.failed(paired.error());
  Site site{options.name, *address, to_hex(paired->inviter), std::string(name_of(paired->granted)),
            ""};
  if (options.tunnel) {
    site.tunnel = options.host;
    site.root = options.root;
  }
  co_return keep_site(app, site);
}

}  // namespace longhaul::proxy
