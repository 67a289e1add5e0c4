#include "proxy/daemon_client.hpp"

#include <charconv>

#include "lib/base/escape.hpp"
#include "lib/io/local_socket.hpp"
#include "lib/io/within.hpp"
#include "proxy/daemon_place.hpp"

namespace longhaul::proxy {
namespace {

constexpr Duration kAnswerTime = 5s;
constexpr std::size_t kAnswerLinesMax = 50'000;

std::optional<Kind> kind_of_word(std::string_view word) {
  for (std::uint8_t i = 0; i <= static_cast<std::uint8_t>(Kind::kInterrupted); ++i)
    if (name_of(static_cast<Kind>(i)) == word) return static_cast<Kind>(i);
  return std::nullopt;
}

}  // namespace

io::Task<std::unique_ptr<DaemonClient>> DaemonClient::find(App& app) {
  const std::vector<std::string> paths = socket_paths(app);
  for (const std::string& path : paths) {
    Result<std::unique_ptr<io::Stream>> dialed = co_await io::dial_local(app.env.executor(), path);
    if (!dialed) continue;
    co_return std::unique_ptr<DaemonClient>(new DaemonClient(app, *std::move(dialed)));
  }
  co_return nullptr;
}

io::Task<Result<>> DaemonClient::exchange(std::string request, std::vector<std::string>* lines) {
  std::vector<Slice> parts{Slice::copy_of(request)};
  const Result<> written = co_await stream_->write(std::move(parts));
  if (!written) co_return written;
  for (;;) {
    while (std::optional<std::string> line = reader_.next()) {
      const auto fields = daemon::Fields::parse(*line);
      if (!fields) co_return fail(fields.error());
      const std::string event = fields->text("event");
      if (event == "end") co_return Result<>();
      if (event == "error") {
        const Kind kind = kind_of_word(fields->text("kind")).value_or(Kind::kIo);
        co_return fail(
            Error(kind, printable(fields->text("what"), 400), printable(fields->text("why"), 400)));
      }
      if (lines->size() >= kAnswerLinesMax)
        co_return fail(Kind::kLimit, "read the daemon's answer");
      lines->push_back(*std::move(line));
    }
    const Result<Slice> read = co_await stream_->read();
    if (!read) co_return fail(read.error());
    if (read->size() == 0) co_return fail(Kind::kLink, "read the daemon's answer", "it hung up");
    const Result<> taken = reader_.take(read->bytes());
    if (!taken) co_return taken;
  }
}

io::Task<Result<std::vector<std::string>>> DaemonClient::lines(daemon::Request request) {
  std::vector<std::string> lines;
  const Time until = app_.env.now() + kAnswerTime;
  const Result<> done =
      co_await io::within(app_.env, until, exchange(daemon::to_line(request), &lines));
  if (!done) co_return fail(done.error());
  co_return lines;
}

io::Task<Result<std::vector<daemon::Fields>>> DaemonClient::ask(daemon::Request request) {
  const Result<std::vector<std::string>> said = co_await lines(std::move(request));
  if (!said) co_return fail(said.error());
  std::vector<daemon::Fields> parsed;
  for (const std::string& line : *said) {
    auto fields = daemon::Fields::parse(line);
    if (!fields) co_return fail(fields.error());
    parsed.push_back(*std::move(fields));
  }
  co_return parsed;
}

SiteLink site_link(const daemon::Fields& fields) {
  return {fields.text("link"), printable(fields.text("link_why"), 400),
          Duration(fields.number("link_since_ns").value_or(0))};
}

}  // namespace longhaul::proxy
