#include "proxy/watch_transfer.hpp"

#include <fmt/format.h>

#include "proxy/waiting.hpp"

namespace longhaul::proxy {
namespace {

constexpr Duration kTick = 125ms;
constexpr Duration kCancelTime = 3s;  // for the far side to make durable what it has

// The path that bulk takes, and why where that is not what one would want.
std::string path_in_words(const session::Status& status) {
  using session::ChoiceReason;
  if (status.choice == ChoiceReason::kTrying) return "UDP and TLS";
  if (status.choice == ChoiceReason::kTesting) return "UDP and TLS, which is faster?";
  if (status.datagrams) return "UDP";
  if (status.choice == ChoiceReason::kUnanswered) return "TLS, UDP is not answered";
  if (status.choice == ChoiceReason::kThrottled) return "TLS, UDP is slower";
  return "TLS";
}

}  // namespace

cli::ProgressView view_of(const std::string& title, const transfer::Progress& progress, Time now,
                          const Connection& connection) {
  cli::ProgressView view;
  view.title = title;
  view.done = ByteCount(progress.bytes_done);
  view.total = ByteCount(progress.bytes_total);
  view.rate = progress.rate;
  view.left = progress.remaining;
  view.present = ByteCount(progress.bytes_present);
  view.raw = ByteCount(progress.bytes_raw);
  view.on_wire = ByteCount(progress.bytes_wire);
  view.files_done = progress.files_done;
  view.files_total = progress.files_total;
  view.limit = transfer::name_of(progress.limit);
  const session::Status status = connection.session().status();
  if (status.established) view.path = path_in_words(status);
  const auto down = connection.down_since();
  if (connection.established() && !down) return view;
  Waiting waiting;
  waiting.site = connection.site().name;
  waiting.was_linked = connection.established();
  waiting.is_called = connection.reach().is_called();
  waiting.dial = connection.dial_error();
  waiting.since = now - (waiting.was_linked ? *down : connection.began());
  view.waiting = words_for(waiting);
  view.left.reset();
  return view;
}

void tell_json(App& app, const cli::ProgressView& view) {
  cli::JsonLine line;
  line.add("event", "progress")
      .add("bytes_done", view.done.value())
      .add("bytes_total", view.total.value())
      .add("files_done", view.files_done)
      .add("files_total", view.files_total);
  line.add("rate_bytes_per_second", view.rate.value()).add("bytes_wire", view.on_wire.value());
  line.add("bytes_present", view.present.value()).add("bytes_raw", view.raw.value());
  line.add("limit", view.waiting.empty() ? view.limit : "waiting: " + view.waiting);
  line.add("path", view.path);
  if (view.left) line.add("seconds_left", static_cast<double>(view.left->count()) / 1e9);
  app.json_line(line);
}

io::Task<Result<transfer::Finished>> watch_transfer(App& app, Connection& connection,
                                                    transfer::TransferId transfer,
                                                    std::string title) {
  cli::ProgressLine line(app.console.err_is_terminal(), app.console.width());
  std::optional<Time> cancelled;
  std::optional<Time> json_at;
  bool stop = false;
  app.when_stopped([&] {
    stop = true;
    connection.wake();
  });
  std::optional<Result<transfer::Finished>> result;
  cli::ProgressView last;
  while (!result) {
    while (std::optional<transfer::Event> event = connection.exchange().poll_event()) {
      if (auto* finished = std::get_if<transfer::Finished>(&*event)) {
        if (finished->transfer == transfer) result = std::move(*finished);
      } else if (const auto* broken = std::get_if<transfer::PeerBroken>(&*event)) {
        result = fail(broken->why);
      }
    }
    // Why the session ended says more than that the transfer could not go on.
    if (connection.ended() && (!result || (*result && (*result)->error)))
      result = fail(*connection.ended());
    if (result) break;
    const Time now = app.env.now();
    if (cancelled && now - *cancelled > kCancelTime) {
      result = fail(Kind::kInterrupted, "finish the transfer", "it was stopped");
      break;
    }
    if (stop && !cancelled) {
      cancelled = now;
      connection.exchange().cancel(now, transfer);
      connection.poke();
      continue;
    }
    if (const auto progress = connection.exchange().progress(now, transfer)) {
      last = view_of(title, *progress, now, connection);
      app.console.err(line.update(now, last));
      if (app.json && (!json_at || now - *json_at >= 1s)) {
        json_at = now;
        tell_json(app, last);
      }
    }
    co_await connection.changed(now + kTick);
  }
  app.on_stop = nullptr;
  if (app.console.err_is_terminal()) app.console.err("\r\x1b[K");
  co_return std::move(*result);
}

}  // namespace longhaul::proxy
