#include "proxy/ask.hpp"

#include "lib/store/version.hpp"
#include "proxy/session_end.hpp"
#include "proxy/sites_file.hpp"

namespace longhaul::proxy {
namespace {

constexpr Duration kTick = 250ms;
constexpr std::size_t kLinesMax = 10'000'000;  // of an answer; more is a broken peer

struct Target {
  Site site;
  std::string dataset;
  std::uint64_t version = 0;
};

Result<Target> target_of(App& app, const std::string& text) {
  const Place place = TRY(parse_place(text));
  Target target{TRY(TRY(load_sites(app)).find(place.site)), place.dataset, 0};
  if (!place.version.empty()) {
    const auto number = store::parse_version(place.version);
    if (!number)
      return fail(Error(Kind::kUsage, "use " + text, "'" + place.version + "' is no version")
                      .advise("versions look like v000001"));
    target.version = number->value();
  }
  return target;
}

}  // namespace

io::Task<Result<Answer>> ask(App& app, Asked asked) {
  const Result<Target> target = target_of(app, asked.place);
  if (!target) co_return fail(target.error());
  const ConnectOptions connect_options;
  Result<std::unique_ptr<Connection>> made = Connection::make(app, target->site, connect_options);
  if (!made) co_return fail(made.error());
  const std::unique_ptr<Connection> connection = *std::move(made);
  const Question question{asked.type, target->dataset, target->version};
  Result<Answer> answer = co_await ask_over(app, *connection, target->site, question);
  co_await connection->close();
  co_return answer;
}

io::Task<Result<Answer>> ask_over(App& app, Connection& connection, Site site, Question question) {
  connection.exchange().ask(app.env.now(), question.type, question.dataset, question.version);
  connection.poke();
  Answer answer;
  std::optional<Error> error;
  bool done = false;
  app.when_stopped([&] {
    error = Error(Kind::kInterrupted, "wait for the answer");
    connection.wake();
  });
  while (!done && !error) {
    while (std::optional<transfer::Event> event = connection.exchange().poll_event()) {
      if (auto* page = std::get_if<transfer::Page>(&*event)) {
        for (wire::Line& line : page->lines) answer.lines.push_back(std::move(line));
        if (answer.lines.size() > kLinesMax) error = Error(Kind::kLimit, "read the answer");
      } else if (auto* answered = std::get_if<transfer::Answered>(&*event)) {
        done = true;
        answer.outcome = answered->outcome;
        if (answered->error) answer.refused = explain_answer(*answered->error, site.name);
      } else if (const auto* broken = std::get_if<transfer::PeerBroken>(&*event)) {
        error = broken->why;
      }
    }
    if (connection.ended()) error = *connection.ended();
    if (done || error) break;
    const Time until = app.env.now() + kTick;
    co_await connection.changed(until);
  }
  app.on_stop = nullptr;
  if (error) co_return fail(*error);
  co_return answer;
}

}  // namespace longhaul::proxy
