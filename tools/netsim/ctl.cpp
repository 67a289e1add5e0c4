// netsim ctl: live changes and questions to a link.
#include <cstdio>
#include <memory>

#include "netsim/emulator/link_name.hpp"
#include "netsim/settings.hpp"
#include "tools/netsim/commands.hpp"
#include "tools/netsim/say.hpp"

namespace netsim::tool {
namespace {

struct CtlOptions {
  std::string name, link;
  std::vector<std::string> words;
};

constexpr Duration kAnswerMost = std::chrono::seconds(5);

// `stats`, `counters`, `link` alone mean `get stats` and so on.
Result<ControlRequest> request_of(std::vector<std::string> words) {
  if (words.size() == 1 && (words[0] == "stats" || words[0] == "counters" || words[0] == "link"))
    words.insert(words.begin(), "get");
  return request_from_words(words);
}

int ctl(const CtlOptions& options) {
  const auto request = request_of(options.words);
  if (!request) return give_up(request.error());
  auto link = emulator::connect_to(options.name);
  if (!link) return give_up(link.error());
  if (const auto sent = link->send_line(to_json(*request, options.link)); !sent)
    return give_up(sent.error());
  const auto line = link->wait_line(kAnswerMost, kLinkJsonMax);
  if (!line) return give_up(line.error());
  const auto reply = parse_reply(*line);
  if (!reply) return give_up(reply.error());
  if (!reply->ok) {
    say(reply->text);
    return kUsageExit;
  }
  if (reply->text != "{}") std::printf("%s\n", reply->text.c_str());
  return 0;
}

}  // namespace

void add_ctl(CLI::App& app, Context& context) {
  auto options = std::make_shared<CtlOptions>();
  CLI::App* command = app.add_subcommand(
      "ctl",
      "change or ask a link: ctl NAME set rtt=300ms | outage 30s | move HOST [away] | stats | "
      "counters | link | down");
  command->add_option("name", options->name, "of `netsim link --name`")->required();
  command->add_option("--link", options->link, "which of several links");
  command->add_option("words", options->words, "what to do")->required();
  command->callback([options, &context] { context.run = [options] { return ctl(*options); }; });
}

}  // namespace netsim::tool
