#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include "lib/base/escape.hpp"
#include "lib/checkpoint/follow_plan.hpp"
#include "lib/cli/exit_code.hpp"
#include "lib/cli/human.hpp"
#include "proxy/ckpt.hpp"
#include "proxy/orders.hpp"
#include "proxy/session_end.hpp"
#include "proxy/watch_transfer.hpp"

namespace longhaul::proxy {
namespace {

using checkpoint::Checkpoint;
using checkpoint::Form;
using checkpoint::Wanted;

bool is_final(Kind kind) {
  return kind == Kind::kAuth || kind == Kind::kUnsupported || kind == Kind::kUsage ||
         kind == Kind::kExists || kind == Kind::kPermission;
}

// Who reads our stdout has ended.
bool nobody_reads() {
  ::pollfd out{STDOUT_FILENO, 0, 0};
  return ::poll(&out, 1, 0) == 1 && (out.revents & (POLLERR | POLLHUP)) != 0;
}

class Follower final : public RunUser {
 public:
  Follower(App& app, const RunPlace& place, CheckpointHome home,
           const checkpoint::FollowOptions& options, const std::vector<checkpoint::Held>& held,
           std::size_t keep)
      : app_(app),
        site_(place.site.name),
        run_(place.run),
        home_(std::move(home)),
        keep_(keep),
        plan_(options, held),
        line_(app.console.err_is_terminal(), app.console.width()) {}

  void on_event(const feed::Event& event) override {
    if (const auto* opened = std::get_if<feed::Opened>(&event)) ask_ = !opened->error;
    if (const auto* heard = std::get_if<feed::Heard>(&event)) note(heard->attempt, heard->entries);
    if (const auto* took = std::get_if<feed::Took>(&event)) note(took->attempt, took->entries);
  }

  void on_tick(Time now, Connection* connection) override {
    connection_ = connection;
    // The daemon, say, was killed: the next one has another at it.
    if (app_.json && nobody_reads())
      failed_ =
          Error(Kind::kInterrupted, "follow the checkpoints", "nobody reads of them any more");
    if (connection == nullptr) return disconnected(now);
    if (std::exchange(ask_, false)) {
      listing_.clear();
      connection->exchange().ask(now, wire::AskType::kCheckpoints, run_, 0);
      connection->poke();
    }
    while (auto event = connection->exchange().poll_event()) hear(now, *event);
    if (stopping_) return;
    if (running_ && plan_.gives_way(running_->wanted, now, app_.env.wall())) {
      connection->exchange().cancel(now, running_->id);
      connection->poke();
    }
    if (!running_ && listed_) begin(now);
    show(now);
  }

  bool done() const override { return failed_.has_value(); }
  void on_stop() override {
    stopping_ = true;
    if (running_ && connection_ != nullptr) {
      connection_->exchange().cancel(app_.env.now(), running_->id);
      connection_->poke();
    }
  }
  const std::optional<Error>& failed() const { return failed_; }

 private:
  struct Running {
    Wanted wanted;
    transfer::TransferId id;
    Time began{};
  };

  void note(std::uint32_t attempt, const std::vector<run::LogEntry>& entries) {
    for (const run::LogEntry& entry : entries) {
      const auto* event = std::get_if<run::RunEvent>(&entry.record);
      if (event != nullptr && event->kind == run::EventKind::kCheckpoint)
        plan_.on_announced({attempt, event->step, event->at});
    }
  }

  // What is half here is gone on with over the next session.
  void disconnected(Time now) {
    if (running_) plan_.on_failed(running_->wanted, Kind::kLink, now);
    running_.reset();
    listed_ = false;
  }

  void hear(Time now, const transfer::Event& event) {
    if (const auto* page = std::get_if<transfer::Page>(&event)) {
      for (const wire::Line& line : page->lines)
        listing_.push_back({line.mode, line.version, WallTime{line.time_ns}});
    } else if (const auto* answered = std::get_if<transfer::Answered>(&event)) {
      if (answered->error && answered->error->kind() != Kind::kLink)
        failed_ = explain_answer(*answered->error, site_);
      if (answered->error) return;
      plan_.on_listed(listing_);
      listed_ = true;
    } else if (const auto* finished = std::get_if<transfer::Finished>(&event)) {
      if (running_ && finished->transfer == running_->id) ended(now, *finished);
    } else if (const auto* broken = std::get_if<transfer::PeerBroken>(&event)) {
      failed_ = broken->why;
    }
  }

  void ended(Time now, const transfer::Finished& finished) {
    const Running running = *running_;
    running_.reset();
    if (app_.console.err_is_terminal()) app_.console.err("\r\x1b[K");
    if (connection_ != nullptr) connection_->note_moved(finished.progress.bytes_wire);
    if (!finished.error) {
      plan_.on_done(running.wanted, app_.env.wall());
      return tell_home(app_, home_, running.wanted, finished, now - running.began);
    }
    const Error why = explain_answer(*finished.error, site_);
    plan_.on_failed(running.wanted, why.kind(), now);
    if (is_final(why.kind())) {
      failed_ = why;
    } else if (why.kind() != Kind::kInterrupted && why.kind() != Kind::kLink) {
      app_.console.err(fmt::format("step {}: {}\n", running.wanted.checkpoint.step, why.message()));
    }
  }

  void begin(Time now) {
    if (!std::exchange(looked_, true))
      plan_.on_staged(
          [this](const Wanted& one) { return checkpoint::is_begun(*home_.files, home_.run, one); });
    const auto wanted = plan_.next(now, app_.env.wall());
    if (!wanted) return;
    checkpoint::HomeOptions options;
    options.run = home_.run;
    options.wanted = *wanted;
    options.keep = keep_;
    options.begun = plan_.begun();
    running_ = {*wanted, start_pull(now, *connection_, run_, home_, std::move(options)), now};
  }

  void show(Time now) {
    if (!running_) return;
    const auto progress = connection_->exchange().progress(now, running_->id);
    if (!progress) return;
    const std::string title = fmt::format("step {}", running_->wanted.checkpoint.step);
    app_.console.err(line_.update(now, view_of(title, *progress, now, *connection_)));
  }

  App& app_;
  const std::string site_, run_;
  const CheckpointHome home_;
  const std::size_t keep_;
  checkpoint::FollowPlan plan_;
  cli::ProgressLine line_;
  Connection* connection_ = nullptr;
  std::vector<Checkpoint> listing_;
  std::optional<Running> running_;
  std::optional<Error> failed_;
  bool ask_ = false, listed_ = false, looked_ = false, stopping_ = false;
};

}  // namespace

io::Task<int> ckpt_follow(App& app, CkptFollowOptions options) {
  const Result<RunPlace> place = find_run_place(app, options.place);
  if (!place) co_return app.failed(place.error());
  const Result<CheckpointHome> home = open_home(*place, options.target, options.limit_rate);
  if (!home) co_return app.failed(home.error());
  if (options.queue) co_return co_await order_follow(app, *place, *home, options);
  const Result<std::vector<checkpoint::Held>> held = checkpoint::list_held(*home->files);
  if (!held) co_return app.failed(held.error());
  checkpoint::FollowOptions follow;
  follow.run = home->run;
  follow.form = options.full ? Form::kFull : Form::kWeights;
  follow.full_daily = options.full_daily;
  RunWatchOptions watch_options;
  watch_options.past = watch_options.live = watch_options.keeps = false;
  watch_options.connect.expects_bulk = true;
  watch_options.connect.required = home->required();
  RunWatch watch(app, *place, watch_options);
  Follower follower(app, *place, *home, follow, *held, options.keep);
  const Result<> ended = co_await watch.run(follower);
  if (follower.failed()) co_return app.failed(*follower.failed());
  co_return ended ? static_cast<int>(cli::kOk) : app.failed(ended.error());
}

}  // namespace longhaul::proxy
