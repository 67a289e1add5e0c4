#include <algorithm>

#include "lib/base/escape.hpp"
#include "lib/cli/exit_code.hpp"
#include "lib/cli/human.hpp"
#include "proxy/ask.hpp"
#include "proxy/commands.hpp"
#include "proxy/output_text.hpp"
#include "proxy/run_watch.hpp"

namespace longhaul::proxy {
namespace {

constexpr Duration kLogsTick = 250ms;
constexpr Duration kLogsAgain = 1s;  // between sessions

// What was printed, to where it is asked for; through sessions that end.
class Logs {
 public:
  Logs(App& app, RunPlace place, const LogsOptions& options)
      : app_(app),
        place_(std::move(place)),
        options_(options),
        shown_(app.console.out_is_terminal() && !options.raw && !app.json) {
    next_.run = place_.run;
    next_.follow = options.follow;
    next_.offset = options.from.value_or(options.tail);
    next_.from_end = !options.from;
  }

  io::Task<Result<>> run() {
    Result<> ended;
    for (;;) {
      app_.when_stopped([this] { stop_ = true; });
      ended = co_await session();
      const bool link =
          !ended && (ended.error().kind() == Kind::kLink || ended.error().kind() == Kind::kTimeout);
      if (!link || !options_.follow || !stood_ || stop_) break;
      LOG(app_.log, kInfo, "the session ended ({}); once more", ended.error().message());
      const Time later = app_.env.now() + kLogsAgain;
      co_await app_.env.sleep_until(later);
    }
    app_.on_stop = nullptr;
    if (shown_) app_.console.out(text_.finish());
    co_return ended;
  }

 private:
  void say(const feed::Printed& printed) {
    if (!printed.error) {
      next_.offset = printed.offset + printed.bytes.size();
      next_.from_end = false;
    }
    if (printed.bytes.empty()) return;
    const std::string_view bytes(reinterpret_cast<const char*>(printed.bytes.data()),
                                 printed.bytes.size());
    if (app_.json) {
      cli::JsonLine line;
      line.add("event", "output").add("offset", printed.offset).add("size", printed.size);
      app_.json_line(line.add("text", bytes));
    } else {
      app_.console.out(shown_ ? text_.take(bytes) : std::string(bytes));
    }
  }

  // Everything that came; a result: the session is over for us.
  std::optional<Result<>> hear(Connection& connection) {
    while (std::optional<feed::Event> event = connection.viewer().poll_event()) {
      if (const auto* broken = std::get_if<feed::FeedBroken>(&*event))
        return Result<>(fail(broken->why));
      const auto* printed = std::get_if<feed::Printed>(&*event);
      if (printed == nullptr) continue;
      say(*printed);
      if (printed->error && printed->error->kind() == Kind::kChanged) {
        app_.console.err("its output was begun anew: from its beginning\n");
        next_.offset = 0;
        connection.viewer().read_output(app_.env.now(), next_);
        connection.poke();
      } else if (printed->error) {
        if (connection.ended()) return Result<>(fail(*connection.ended()));
        return Result<>(fail(explained(*printed->error)));
      } else if (printed->last) {
        return Result<>();
      }
    }
    if (stop_) return Result<>(fail(Kind::kInterrupted, "follow the output"));
    if (connection.ended()) return Result<>(fail(*connection.ended()));
    return std::nullopt;
  }

  Error explained(const Error& why) const {
    Error error(why.kind(), "read the output of " + place_.site.name + "/" + printable(place_.run),
                why.why());
    if (why.kind() != Kind::kNotFound) return error;
    return std::move(error).advise(
        "let its program write there: `.. >> ROOT/runs/RUN/output 2>&1`; `longhaul runs " +
        place_.site.name + "` lists the runs");
  }

  void say_wait(const Connection& connection, Time now) {
    const auto reason = wait_reason(connection, now);
    if (!reason) {
      waits_since_.reset();
      said_ = false;
      return;
    }
    if (!waits_since_) waits_since_ = now;
    if (said_ || now - *waits_since_ < 2s) return;
    said_ = true;
    app_.console.err("waiting: " + *reason + "\n");
  }

  io::Task<Result<>> session() {
    ConnectOptions connect;
    connect.required = session::kCapabilityRuns;
    Result<std::unique_ptr<Connection>> made = Connection::make(app_, place_.site, connect);
    if (!made) co_return fail(made.error());
    const std::unique_ptr<Connection> connection = *std::move(made);
    connection->viewer().read_output(app_.env.now(), next_);
    connection->poke();
    app_.when_stopped([this, &connection] {
      stop_ = true;
      connection->wake();
    });
    std::optional<Result<>> result;
    while (!result) {
      result = hear(*connection);
      if (result) break;
      const Time now = app_.env.now();
      stood_ = stood_ || connection->established();
      say_wait(*connection, now);
      co_await connection->changed(now + kLogsTick);
    }
    app_.when_stopped([this] { stop_ = true; });
    co_await connection->close();
    co_return std::move(*result);
  }

  App& app_;
  const RunPlace place_;
  const LogsOptions& options_;
  const bool shown_;  // on a terminal: nothing of it may steer that
  OutputText text_;
  feed::Viewer::OutputOptions next_;
  bool stood_ = false, stop_ = false, said_ = false;
  std::optional<Time> waits_since_;
};

}  // namespace

io::Task<int> logs(App& app, LogsOptions options) {
  Result<RunPlace> place = find_run_place(app, options.place);
  if (!place) co_return app.failed(place.error());
  Logs logs(app, *std::move(place), options);
  const Result<> ended = co_await logs.run();
  if (!ended) co_return app.failed(ended.error());
  co_return cli::kOk;
}

}  // namespace longhaul::proxy
