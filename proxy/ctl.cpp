#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "lib/base/escape.hpp"
#include "lib/base/spelling.hpp"
#include "lib/cli/exit_code.hpp"
#include "lib/cli/human.hpp"
#include "lib/run/command.hpp"
#include "proxy/commands.hpp"
#include "proxy/orders.hpp"
#include "proxy/run_text.hpp"
#include "proxy/run_watch.hpp"

namespace longhaul::proxy {
namespace {

// From a command's expiry to the record of what became of it, on this side.
constexpr Duration kVerdictTime = 5s;
constexpr Duration kLifetimeMax = std::chrono::hours(24 * 365 * 100);

std::string_view word_of(wire::SteerState state) {
  for (const auto& known : wire_values(state))
    if (known.value == state) return known.name;
  return "unknown";
}

// Sends one command until it is known what became of it: again, with the same id, whenever a
// session had to be begun anew; the training program carries it out once.
class Commander final : public RunUser {
 public:
  Commander(App& app, run::Command command, Duration lifetime)
      : app_(app), command_(std::move(command)), lifetime_(lifetime) {}

  void on_event(const feed::Event& event) override {
    if (const auto* opened = std::get_if<feed::Opened>(&event)) {
      if (opened->error) return;
      watch_ = opened->watch;
      // By the site's clock, as of the first answer: a command that waits grows no younger.
      constexpr WallTime kLast{std::numeric_limits<std::int64_t>::max() - kLifetimeMax.count()};
      if (expires_.ns == 0) expires_ = {std::min(opened->site_time, kLast).ns + lifetime_.count()};
      unsent_ = true;
    } else if (const auto* steered = std::get_if<wire::Steered>(&event)) {
      if (steered->id.value == command_.id) on_steered(*steered);
    } else if (const auto* heard = std::get_if<feed::Heard>(&event)) {
      for (const run::LogEntry& entry : heard->entries) on_entry(heard->attempt, entry);
    } else if (const auto* took = std::get_if<feed::Took>(&event)) {
      for (const run::LogEntry& entry : took->entries) on_entry(took->attempt, entry);
    }
  }

  void on_tick(Time now, Connection* connection) override {
    if (connection == nullptr) return;
    if (unsent_) {
      unsent_ = false;
      wire::Steer steer;
      steer.watch = watch_;
      steer.id = {command_.id};
      steer.kind = static_cast<std::uint8_t>(command_.kind);
      steer.name = command_.name;
      steer.value = command_.value;
      steer.expires = expires_;
      connection->viewer().steer(now, steer);
      connection->poke();
      sent_ = true;
    }
    if (watch_ != wire::WatchId() && !opened_at_) opened_at_ = now;
    const auto reason = wait_reason(*connection, now);
    // Nobody took it, and whoever still finds it judges that it is too late. A site that was silent
    // tells what happened meanwhile a moment after its first word.
    if (reason || !spoken_since_) spoken_since_ = now;
    const bool late = received_ && now - *opened_at_ > lifetime_ + kVerdictTime;
    if (late && now - *spoken_since_ > kVerdictTime && !verdict_) {
      verdict_.emplace();
      verdict_->state = wire::SteerState::kExpired;
      verdict_->text = "no training program took it in time";
    }
    if (reason && !said_wait_ && !began_) began_ = now;
    if (reason && !said_wait_ && now - *began_ > 3s) {
      app_.console.err("waiting: " + *reason + "\n");
      said_wait_ = true;
    }
    if (!reason) {
      said_wait_ = false;
      began_.reset();
    }
  }

  bool done() const override { return verdict_.has_value(); }
  bool sent() const { return sent_; }
  const wire::Steered& verdict() const { return *verdict_; }

 private:
  void on_steered(const wire::Steered& steered) {
    if (steered.state != wire::SteerState::kReceived) {
      verdict_ = steered;
      return;
    }
    if (std::exchange(received_, true)) return;
    if (app_.json)
      say(steered);
    else
      app_.console.err("received: it waits for the training program\n");
  }
  // The mark in the run log says the same; it comes even if the site forgot who sent it.
  void on_entry(std::uint32_t attempt, const run::LogEntry& entry) {
    const auto* event = std::get_if<run::RunEvent>(&entry.record);
    if (event == nullptr || event->id != command_.id || verdict_) return;
    wire::Steered steered;
    steered.id = {event->id};
    steered.attempt = attempt;
    steered.step = event->step;
    steered.at = event->at;
    steered.text = event->text.substr(0, wire::kRunReasonMax);
    switch (event->kind) {
      case run::EventKind::kApplied:
        steered.state = wire::SteerState::kApplied;
        break;
      case run::EventKind::kExpired:
        steered.state = wire::SteerState::kExpired;
        break;
      case run::EventKind::kRefused:
        steered.state = wire::SteerState::kRefused;
        break;
      default:
        return;
    }
    verdict_ = steered;
  }

 public:
  void say(const wire::Steered& steered) {
    cli::JsonLine line;
    line.add("event", "command").add("id", id_text(command_.id));
    line.add("command", run::shown(command_)).add("state", word_of(steered.state));
    if (steered.attempt > 0) line.add("attempt", steered.attempt).add("step", steered.step);
    line.add("time_ns", steered.at.ns).add("text", steered.text);
    app_.json_line(line);
  }

 private:
  App& app_;
  const run::Command command_;
  const Duration lifetime_;
  WallTime expires_;
  wire::WatchId watch_;
  bool unsent_ = false, sent_ = false, received_ = false, said_wait_ = false;
  std::optional<Time> began_, opened_at_;
  std::optional<Time> spoken_since_;  // of the site, without a silence
  std::optional<wire::Steered> verdict_;
};

bool has_value(const run::Command& command) {
  return command.kind == run::CommandKind::kSet || command.kind == run::CommandKind::kScale;
}

Error no_action(const CtlOptions& options, bool is_setting) {
  Error error(Kind::kUsage, "steer " + printable(options.place, 200),
              fmt::format("'{}' is no action", printable(options.action, 80)));
  if (is_setting)
    return std::move(error).advise(fmt::format("write `longhaul ctl {} set {}`",
                                               printable(options.place, 200),
                                               printable(options.action, 80)));
  const std::string meant =
      nearest_word(options.action, {"set", "pause", "resume", "checkpoint", "stop"});
  return std::move(error).advise(
      (meant.empty() ? "" : fmt::format("did you mean '{}'? ", meant)) +
      "write `set lr=1e-3`, `set lr*=0.5`, pause, resume, checkpoint or stop");
}

Result<run::Command> command_of(App& app, const CtlOptions& options) {
  const bool sets = options.action == "set";
  if (!sets) {
    const Result<run::Command> alone = run::parse_command(options.action);
    if (!alone || has_value(*alone)) return fail(no_action(options, alone.has_value()));
  }
  if (sets == options.setting.empty()) {
    return fail(
        Error(Kind::kUsage, "steer " + printable(options.place, 200),
              sets ? "it says not what to set" : "only `set` takes a value")
            .advise("write `set lr=1e-3`, `set lr*=0.5`, pause, resume, checkpoint or stop"));
  }
  run::Command command = TRY(run::parse_command(sets ? options.setting : options.action));
  if (sets != has_value(command))
    return fail(Error(Kind::kUsage, "steer " + printable(options.place, 200), "that sets nothing")
                    .advise("write `set lr=1e-3` or `set lr*=0.5`"));
  while (command.id == 0) {
    std::array<std::byte, 8> random{};
    app.env.entropy(random);
    command.id = load_le<std::uint64_t>(random);
  }
  return command;
}

int tell(App& app, Commander& commander) {
  const wire::Steered& verdict = commander.verdict();
  const std::string text = printable(verdict.text, wire::kRunReasonMax);
  switch (verdict.state) {
    case wire::SteerState::kApplied:
      if (app.json)
        commander.say(verdict);
      else
        app.console.out(fmt::format("applied at step {} of attempt {}: {}\n", verdict.step,
                                    verdict.attempt, text));
      return cli::kOk;
    case wire::SteerState::kDenied:
      if (app.json) commander.say(verdict);
      return app.failed(Error(Kind::kAuth, "steer the run", text));
    case wire::SteerState::kExpired:
      if (app.json) commander.say(verdict);
      return app.failed(
          Error(Kind::kTimeout, "steer the run", "the command expired: nothing was done")
              .advise("is the run still at work? `longhaul runs` says; or give --expires "
                      "a longer time"));
    default:
      if (app.json) commander.say(verdict);
      return app.failed(Error(Kind::kUsage, "steer the run", "it was refused: " + text)
                            .advise("nothing was changed"));
  }
}

}  // namespace

io::Task<Steering> steer_run(App& app, RunPlace place, run::Command command, Duration lifetime) {
  RunWatchOptions watch_options;
  watch_options.past = watch_options.live = watch_options.keeps = false;
  RunWatch watch(app, std::move(place), watch_options);
  Commander commander(app, command, lifetime);
  const Result<> ended = co_await watch.run(commander);
  Steering steering;
  if (ended) {
    steering.verdict = commander.verdict();
    steering.code = tell(app, commander);
    co_return steering;
  }
  if (commander.sent()) {
    app.console.err(
        "the command has the id " + id_text(command.id) +
        "; if it was received, it may still be carried out: `longhaul metrics` shows it\n");
  }
  steering.code = app.failed(ended.error());
  co_return steering;
}

io::Task<int> ctl(App& app, CtlOptions options) {
  const Result<run::Command> command = command_of(app, options);
  if (!command) co_return app.failed(command.error());
  const Result<Duration> lifetime = cli::parse_duration(options.expires);
  if (!lifetime) co_return app.failed(lifetime.error());
  if (*lifetime > kLifetimeMax)
    co_return app.failed(Error(Kind::kUsage, "steer " + printable(options.place, 200),
                               "a command waits at most 100 years")
                             .advise("give --expires a shorter time"));
  Result<RunPlace> place = find_run_place(app, options.place);
  if (!place) co_return app.failed(place.error());
  const std::string text = options.action == "set" ? options.setting : options.action;
  const SteerOrder order{*place, *command, text, *lifetime, options.queue};
  const std::optional<int> ordered = co_await order_steer(app, order);
  if (ordered) co_return *ordered;
  const std::optional<int> behind = co_await send_waiting(app, order);
  if (behind) co_return *behind;
  const Steering steering = co_await steer_run(app, *place, *command, *lifetime);
  co_return steering.code;
}

}  // namespace longhaul::proxy
