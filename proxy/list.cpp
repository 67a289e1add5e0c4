#include <fmt/chrono.h>

#include <ctime>

#include "lib/base/escape.hpp"
#include "lib/cli/exit_code.hpp"
#include "lib/cli/human.hpp"
#include "proxy/ask.hpp"
#include "proxy/commands.hpp"
#include "proxy/sites.hpp"

namespace longhaul::proxy {
namespace {

std::string date_of(std::int64_t ns) {
  const std::time_t seconds = ns / 1'000'000'000;
  return fmt::format("{:%Y-%m-%d %H:%M}", fmt::gmtime(seconds));
}

// A version whose manifest the site cannot read.
bool is_unread(const wire::Line& line, wire::AskType type) {
  return type != wire::AskType::kFiles && !line.note.empty();
}

void show(App& app, const wire::Line& line, wire::AskType type) {
  const std::string name = printable(line.name);
  const std::string version = fmt::format("v{:06}", line.version);
  if (app.json) {
    cli::JsonLine out;
    out.add("name", line.name);
    if (type != wire::AskType::kFiles) out.add("version", version).add("files", line.files);
    out.add("bytes", line.bytes).add("time_ns", line.time_ns);
    if (line.root) out.add("root", line.root->hex());
    if (is_unread(line, type)) out.add("unreadable", line.note);
    app.json_line(out);
  } else if (is_unread(line, type)) {
    app.console.out(fmt::format("{:<24} {}  unreadable\n", name, version));
    app.console.err(name + "@" + version + " cannot be read: " + printable(line.note) + "\n");
  } else if (type == wire::AskType::kFiles) {
    app.console.out(fmt::format("{:>10}  {}  {}\n", cli::human(ByteCount(line.bytes)),
                                date_of(line.time_ns), name));
  } else {
    app.console.out(fmt::format("{:<24} {}  {:>9} files  {:>10}  {}\n", name, version, line.files,
                                cli::human(ByteCount(line.bytes)), date_of(line.time_ns)));
  }
}

}  // namespace

io::Task<int> list(App& app, ListOptions options) {
  const auto place = parse_place(options.place);
  if (!place) co_return app.failed(place.error());
  wire::AskType type = wire::AskType::kFiles;
  if (place->version.empty()) type = wire::AskType::kVersions;
  if (place->dataset.empty()) type = wire::AskType::kDatasets;
  const Asked asked{options.place, type};
  const Result<Answer> answer = co_await ask(app, asked);
  if (!answer) co_return app.failed(answer.error());
  if (answer->refused) co_return app.failed(*answer->refused);
  if (answer->lines.empty() && !app.json) app.console.err("nothing there yet\n");
  bool whole = true;
  for (const wire::Line& line : answer->lines) {
    show(app, line, type);
    whole = whole && !is_unread(line, type);
  }
  co_return whole ? cli::kOk : cli::kPartialResult;
}

}  // namespace longhaul::proxy
