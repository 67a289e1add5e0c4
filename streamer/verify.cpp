#include "streamer/verify.hpp"

#include <functional>

#include "lib/base/escape.hpp"
#include "lib/cli/exit_code.hpp"
#include "lib/cli/explain.hpp"
#include "lib/cli/verify_report.hpp"
#include "lib/store/version.hpp"
#include "streamer/datasets.hpp"
#include "streamer/running.hpp"

namespace longhaul::streamer {
namespace {

int failed(cli::Console& console, const Error& error) {
  console.err(cli::to_text(cli::explain(error), "longhaul-streamer"));
  return cli::exit_code_of(error.kind());
}

Result<wire::Ask> asked(const VerifyOptions& options) {
  wire::Ask ask;
  ask.type = options.sums ? wire::AskType::kSums : wire::AskType::kVerify;
  const std::size_t at = options.dataset.find('@');
  ask.dataset = options.dataset.substr(0, at);
  if (at == std::string::npos) return ask;
  const std::string version = options.dataset.substr(at + 1);
  const auto number = store::parse_version(version);
  if (!number)
    return fail(Error(Kind::kUsage, "verify " + printable(options.dataset),
                      "'" + printable(version) + "' is no version")
                    .advise("versions look like v000001"));
  ask.version = number->value();
  return ask;
}

// Runs the same work that answers a laptop, here.
Result<wire::Outcome> answer(Datasets& datasets, const wire::Ask& ask,
                             const std::function<void(const wire::Line&)>& tell) {
  transfer::SiteHost host(*datasets.root, *datasets.index, transfer::SiteRights{});
  const auto work = TRY(host.answer(ask));
  while (!work->last) {
    work->run();
    for (const wire::Line& line : work->lines) tell(line);
    work->lines.clear();
  }
  // What is wrong is a figure of the outcome; any other failure is one of asking.
  if (work->last->failed && *work->last->failed != Kind::kIntegrity)
    return fail(*work->last->failed, work->last->text);
  return *work->last;
}

Result<std::shared_ptr<Datasets>> open(const VerifyOptions& options, Hold& held) {
  TRY(look_at_root(options.root));  // verifying makes no root
  const Root root = TRY(open_root_with_state(options.root, ""));
  auto locked = hold_root(root);
  if (!locked && locked.error().kind() == Kind::kBusy) {
    return fail(Error(Kind::kBusy, locked.error().attempt(), locked.error().why())
                    .advise("ask it: `longhaul verify SITE:DATASET` from a paired machine; or stop "
                            "it first"));
  }
  held = TRY(std::move(locked));
  return open_datasets(root);
}

}  // namespace

int verify(cli::Console& console, const VerifyOptions& options) {
  const auto ask = asked(options);
  if (!ask) return failed(console, ask.error());
  if (options.dataset.empty() && !options.rebuild) {
    return failed(
        console,
        Error(Kind::kUsage, "verify", "no dataset is named").advise("name one, or give --rebuild"));
  }
  Hold held;
  const auto datasets = open(options, held);
  if (!datasets) return failed(console, datasets.error());
  cli::VerifyReport report(console, options.json);
  const auto tell = [&](const wire::Line& line) {
    if (line.root && line.note.empty())
      report.sum(line.name, line.root->hex());
    else
      report.bad(line.name, line.note, options.sums);
  };
  std::uint64_t bad = 0;
  if (options.rebuild) {
    wire::Ask rebuild;
    rebuild.type = wire::AskType::kRebuild;
    const auto outcome = answer(**datasets, rebuild, tell);
    if (!outcome) return failed(console, outcome.error());
    report.rebuilt(outcome->files, outcome->bad);
    bad += outcome->bad;
  }
  if (!options.dataset.empty()) {
    const auto outcome = answer(**datasets, *ask, tell);
    if (!outcome) return failed(console, outcome.error());
    report.done(outcome->files, outcome->bytes, outcome->bad);
    bad += outcome->bad;
  }
  if (bad == 0) return cli::kOk;
  return failed(console, Error(Kind::kIntegrity, "verify " + printable(options.dataset),
                               "what is named above is not as it was pushed")
                             .advise("push the dataset again; suspect this disk"));
}

}  // namespace longhaul::streamer
