#include "streamer/drain.hpp"

#include <fmt/format.h>

#include "lib/base/escape.hpp"
#include "lib/cli/exit_code.hpp"
#include "lib/cli/explain.hpp"
#include "lib/cli/human.hpp"
#include "lib/cli/json_line.hpp"
#include "lib/client/leftovers.hpp"

namespace longhaul::streamer {
namespace {

using client::Leftover;
using client::LeftoverState;

constexpr std::size_t kShownMost = 400;

std::string_view word_of(LeftoverState state) {
  switch (state) {
    case LeftoverState::kDrained:
      return "drained";
    case LeftoverState::kAtWork:
      return "at work";
    case LeftoverState::kHeld:
      return "held";
    case LeftoverState::kFailed:
      break;
  }
  return "failed";
}

void say_json(cli::Console& console, const Leftover& one) {
  cli::JsonLine line;
  line.add("event", "ring").add("ring", one.ring).add("run", one.run).add("attempt", one.attempt);
  line.add("process", one.process).add("state", word_of(one.state)).add("records", one.records);
  if (one.state == LeftoverState::kFailed) line.add("why", one.error.message());
  console.out(line.text() + "\n");
}

void say(cli::Console& console, const Leftover& one) {
  const std::string of =
      fmt::format("{} attempt {}: ", printable(one.run, kShownMost), one.attempt);
  if (one.state == LeftoverState::kDrained)
    console.out(fmt::format("{}{} records brought into its log\n", of, one.records));
  else if (one.state == LeftoverState::kAtWork)
    console.out(fmt::format("{}at work, process {}\n", of, one.process));
}

Error held(const Leftover& one) {
  return Error(Kind::kBusy, "drain " + printable(one.ring, kShownMost),
               fmt::format("process {} died, and one that it started lives", one.process))
      .advise("end that one (`fuser` names it), then drain again; or give --wait a longer time");
}

int failed(cli::Console& console, const Error& error) {
  console.err(cli::to_text(cli::explain(error), "longhaul-streamer"));
  return cli::exit_code_of(error.kind());
}

}  // namespace

int drain(cli::Console& console, const DrainOptions& options) {
  const auto wait = cli::parse_duration(options.wait);
  if (!wait) return failed(console, wait.error());
  const auto all = client::drain_leftovers({options.shared, options.runs, *wait});
  if (!all) return failed(console, all.error());
  int code = cli::kOk;
  for (const Leftover& one : *all) {
    if (options.json)
      say_json(console, one);
    else
      say(console, one);
    if (one.state == LeftoverState::kHeld) code = failed(console, held(one));
    if (one.state == LeftoverState::kFailed) code = failed(console, one.error);
  }
  if (all->empty() && !options.json) console.out("nothing is left here\n");
  return code;
}

}  // namespace longhaul::streamer
