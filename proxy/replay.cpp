#include "lib/session/replay.hpp"

#include <fmt/format.h>

#include <fstream>
#include <iterator>

#include "lib/base/escape.hpp"
#include "lib/cli/exit_code.hpp"
#include "lib/cli/human.hpp"
#include "proxy/commands.hpp"

namespace longhaul::proxy {
namespace {

void tell(App& app, const session::ReplayReport& report) {
  if (app.json) {
    cli::JsonLine out;
    out.add("event", "replayed")
        .add("side", report.dialled ? "dialled" : "accepted")
        .add("records", report.records)
        .add("inputs", report.inputs)
        .add("outputs", report.outputs)
        .add("seconds", static_cast<double>(report.span.count()) / 1e9)
        .add("cut", report.cut)
        .add("recorded_hash", report.recorded_hash.hex())
        .add("replayed_hash", report.replayed_hash.hex())
        .add("same", !report.divergence.has_value());
    app.json_line(out);
    return;
  }
  app.console.err(fmt::format("{} records of {}, {} inputs, {} outputs{}\n", report.records,
                              cli::human(report.span), report.inputs, report.outputs,
                              report.cut ? "; the trace ends within a record" : ""));
  if (!report.divergence)
    app.console.out(
        fmt::format("same outputs, hash {}\n", report.replayed_hash.hex().substr(0, 16)));
}

}  // namespace

io::Task<int> replay(App& app, ReplayOptions options) {
  std::ifstream file(options.trace, std::ios::binary);
  if (!file) {
    co_return app.failed(Error(Kind::kNotFound, "read the trace " + printable(options.trace),
                               "it cannot be opened"));
  }
  const std::string bytes((std::istreambuf_iterator<char>(file)), {});
  const Result<session::ReplayReport> report = session::replay(bytes_of(bytes));
  if (!report) co_return app.failed(report.error());
  tell(app, *report);
  if (!report->divergence) co_return cli::kOk;
  const session::Divergence& first = *report->divergence;
  co_return app.failed(
      Error(
          Kind::kIntegrity, "replay " + printable(options.trace),
          fmt::format("record {}, {} after the start: recorded was \"{}\", this build does \"{}\"",
                      first.record, cli::human(first.at), printable(first.recorded, 300),
                      printable(first.replayed, 300)))
          .advise(
              "another build recorded it, or the file was changed; compare `longhaul version`"));
}

}  // namespace longhaul::proxy
