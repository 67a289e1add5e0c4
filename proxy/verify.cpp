#include <fmt/format.h>

#include "lib/base/escape.hpp"
#include "lib/cli/exit_code.hpp"
#include "lib/cli/human.hpp"
#include "proxy/ask.hpp"
#include "proxy/commands.hpp"
#include "proxy/sites.hpp"

namespace longhaul::proxy {

io::Task<int> verify(App& app, VerifyOptions options) {
  const Asked asked{options.place, wire::AskType::kVerify};
  const Result<Answer> answer = co_await ask(app, asked);
  if (!answer) co_return app.failed(answer.error());
  for (const wire::Line& line : answer->lines) {
    const std::string note = printable(line.note);
    if (app.json) {
      cli::JsonLine out;
      out.add("event", "bad").add("name", line.name).add("why", note);
      app.json_line(out);
    } else {
      app.console.out(printable(line.name) + ": " + note + "\n");
    }
  }
  if (answer->refused && answer->lines.empty()) co_return app.failed(*answer->refused);
  const wire::Outcome& outcome = answer->outcome;
  if (app.json) {
    cli::JsonLine out;
    out.add("event", "done")
        .add("files", outcome.files)
        .add("bytes", outcome.bytes)
        .add("bad", outcome.bad);
    app.json_line(out);
  } else {
    app.console.err(fmt::format(
        "{} files, {} re-read: {}\n", outcome.files, cli::human(ByteCount(outcome.bytes)),
        outcome.bad == 0 ? "all good" : fmt::format("{} bad", outcome.bad)));
  }
  if (outcome.bad > 0) {
    co_return app.failed(Error(Kind::kIntegrity, "verify " + options.place,
                               fmt::format("{} files are not as they were pushed", outcome.bad))
                             .advise("push the dataset again; suspect that disk"));
  }
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
