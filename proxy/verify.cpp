#include "lib/cli/exit_code.hpp"
#include "lib/cli/verify_report.hpp"
#include "proxy/ask.hpp"
#include "proxy/commands.hpp"
#include "proxy/sites.hpp"

namespace longhaul::proxy {
namespace {

Error damaged(const std::string& place, std::uint64_t files) {
  return Error(Kind::kIntegrity, "verify " + place,
               std::to_string(files) + " files are not as they were pushed")
      .advise("push the dataset again; suspect that disk");
}

void tell(cli::VerifyReport& report, const Answer& answer, bool beside_sums) {
  for (const wire::Line& line : answer.lines) {
    if (line.root && line.note.empty())
      report.sum(line.name, line.root->hex());
    else
      report.bad(line.name, line.note, beside_sums);
  }
}

io::Task<int> rebuild(App& app, std::string place) {
  const auto parsed = parse_place(place);
  if (!parsed) co_return app.failed(parsed.error());
  const Asked asked{parsed->site, wire::AskType::kRebuild};
  const Result<Answer> answer = co_await ask(app, asked);
  if (!answer) co_return app.failed(answer.error());
  cli::VerifyReport report(app.console, app.json);
  tell(report, *answer, false);
  if (answer->refused && answer->lines.empty()) co_return app.failed(*answer->refused);
  report.rebuilt(answer->outcome.files, answer->outcome.bad);
  if (answer->outcome.bad == 0) co_return cli::kOk;
  co_return app.failed(Error(Kind::kIntegrity, "rebuild the index of " + parsed->site,
                             std::to_string(answer->outcome.bad) + " manifests cannot be read")
                           .advise("push those datasets again; suspect that disk"));
}

}  // namespace

io::Task<int> verify(App& app, VerifyOptions options) {
  const auto place = parse_place(options.place);
  if (!place) co_return app.failed(place.error());
  if (place->dataset.empty() && !options.rebuild) {
    co_return app.failed(Error(Kind::kUsage, "verify " + options.place, "it names no dataset")
                             .advise("name one, like " + place->site + ":NAME"));
  }
  if (options.rebuild) {
    const int rebuilt = co_await rebuild(app, options.place);
    if (rebuilt != cli::kOk || place->dataset.empty()) co_return rebuilt;
  }
  const Asked asked{options.place, options.sums ? wire::AskType::kSums : wire::AskType::kVerify};
  const Result<Answer> answer = co_await ask(app, asked);
  if (!answer) co_return app.failed(answer.error());
  cli::VerifyReport report(app.console, app.json);
  tell(report, *answer, options.sums);
  if (answer->refused && answer->lines.empty()) co_return app.failed(*answer->refused);
  const wire::Outcome& outcome = answer->outcome;
  report.done(outcome.files, outcome.bytes, outcome.bad);
  if (outcome.bad > 0) co_return app.failed(damaged(options.place, outcome.bad));
  co_return cli::kOk;
}

io::Task<int> remove(App& app, RemoveOptions options) {
  const auto place = parse_place(options.place);
  if (!place) co_return app.failed(place.error());
  if (place->version.empty()) {
    co_return app.failed(Error(Kind::kUsage, "remove " + options.place, "it names no version")
                             .advise("name one, like " + options.place + "@v000001"));
  }
  const Asked asked{options.place, wire::AskType::kRemove};
  const Result<Answer> answer = co_await ask(app, asked);
  if (!answer) co_return app.failed(answer.error());
  if (answer->refused) co_return app.failed(*answer->refused);
  if (app.json) {
    cli::JsonLine out;
    out.add("event", "done").add("bytes_freed", answer->outcome.bytes);
    app.json_line(out);
  } else {
    app.console.err(options.place + " is removed\n");
  }
  co_return cli::kOk;
}

}  // namespace longhaul::proxy
