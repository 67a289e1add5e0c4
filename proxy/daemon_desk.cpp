#include "proxy/daemon_desk.hpp"

#include "lib/cli/exit_code.hpp"
#include "lib/cli/explain.hpp"
#include "lib/io/local_socket.hpp"
#include "lib/io/within.hpp"

namespace longhaul::proxy {
namespace {

constexpr Duration kIdleTime = 30s;      // between two requests
constexpr Duration kTakeTime = 10s;      // for an answer to be taken
constexpr Duration kAcceptRest = 100ms;  // after an accept that failed

std::string error_line(const Error& error) {
  const cli::Explanation told = cli::explain(error);
  cli::JsonLine line;
  line.add("event", "error").add("kind", name_of(error.kind())).add("what", told.what);
  line.add("why", told.why);
  return line.text();
}

io::Task<Result<>> read_some(io::Stream& stream, Slice* read) {
  Result<Slice> some = co_await stream.read();
  if (!some) co_return fail(some.error());
  if (some->size() == 0) co_return fail(Kind::kLink, "read a request", "it hung up");
  *read = *std::move(some);
  co_return Result<>();
}

}  // namespace

Result<std::unique_ptr<DaemonDesk>> DaemonDesk::open(App& app, const std::string& path,
                                                     Answer answer) {
  auto listener = TRY(io::listen_local(app.env.executor(), path));
  std::unique_ptr<DaemonDesk> desk(new DaemonDesk(app, std::move(listener), std::move(answer)));
  desk->tasks_.spawn(desk->accept_all());
  return desk;
}

DaemonDesk::DaemonDesk(App& app, std::unique_ptr<io::Listener> listener, Answer answer)
    : app_(app),
      listener_(std::move(listener)),
      answer_(std::move(answer)),
      tasks_(app.env.executor()) {}

io::Task<> DaemonDesk::accept_all() {
  while (!closing_) {
    Result<std::unique_ptr<io::Stream>> accepted = co_await listener_->accept();
    if (closing_) break;
    if (!accepted) {
      const Time later = app_.env.now() + kAcceptRest;
      co_await app_.env.sleep_until(later);
      continue;
    }
    if (streams_.size() >= kCommandsMax) continue;
    const auto at = streams_.insert(streams_.end(), *std::move(accepted));
    tasks_.spawn(serve(at));
  }
}

io::Task<> DaemonDesk::serve(std::list<std::unique_ptr<io::Stream>>::iterator stream) {
  // Out of the list also when this is cancelled.
  const std::shared_ptr<void> leave(nullptr, [this, stream](void*) { streams_.erase(stream); });
  co_await converse(**stream);
}

io::Task<> DaemonDesk::converse(io::Stream& stream) {
  daemon::LineReader reader(daemon::kRequestLineMax);
  for (;;) {
    std::optional<std::string> line = reader.next();
    if (!line) {
      Slice read;
      const Time until = app_.env.now() + kIdleTime;
      const Result<> got = co_await io::within(app_.env, until, read_some(stream, &read));
      if (!got) co_return;
      const Result<> taken = reader.take(read.bytes());
      if (taken) continue;
      std::vector<Slice> last{Slice::copy_of(error_line(taken.error()) + "\n")};
      const Time soon = app_.env.now() + kTakeTime;
      const Result<> told = co_await io::within(app_.env, soon, stream.write(std::move(last)));
      static_cast<void>(told);  // it is hung up on either way
      co_return;
    }
    Result<daemon::Request> request = daemon::parse_request(*line);
    std::string text;
    if (!request) {
      text = error_line(request.error()) + "\n";
    } else {
      const Result<std::vector<std::string>> said = co_await answer_(*request);
      if (said) {
        for (const std::string& one : *said) text += one + "\n";
        text += cli::JsonLine().add("event", "end").text() + "\n";
      } else {
        text = error_line(said.error()) + "\n";
      }
    }
    std::vector<Slice> parts{Slice::copy_of(text)};
    const Time soon = app_.env.now() + kTakeTime;
    const Result<> written = co_await io::within(app_.env, soon, stream.write(std::move(parts)));
    if (!written || !request) co_return;
  }
}

io::Task<> DaemonDesk::close() {
  closing_ = true;
  listener_->close();
  for (const auto& stream : streams_) stream->close();
  tasks_.cancel();
  co_await tasks_.join();
}

}  // namespace longhaul::proxy
