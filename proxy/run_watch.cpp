#include "proxy/run_watch.hpp"

#include "lib/base/escape.hpp"
#include "lib/cli/human.hpp"
#include "lib/feed/run_files.hpp"
#include "proxy/ask.hpp"
#include "proxy/files.hpp"
#include "proxy/mirror_place.hpp"
#include "proxy/sites_file.hpp"

namespace longhaul::proxy {
namespace {

constexpr Duration kBetweenSessions = 1s;
constexpr std::size_t kMirrorStretch = 8;  // messages read in one job

// The next messages of a mirror, unpacked.
class MirrorWork final : public Work {
 public:
  explicit MirrorWork(feed::Mirror& mirror) : mirror_(mirror) {}
  void run() override {
    for (std::size_t i = 0; i < kMirrorStretch; ++i) {
      auto message = mirror_.next();
      if (!message) {
        error = message.error();
        return;
      }
      if (!message->has_value()) {
        last = true;
        return;
      }
      const wire::History& history = **message;
      auto unpacked = feed::unpack_history(history);
      if (!unpacked) {
        error = unpacked.error();
        return;
      }
      took.push_back({wire::WatchId(), history.attempt, history.after, history.first, history.next,
                      history.offset, std::move(unpacked->entries), std::move(unpacked->points)});
    }
  }
  std::vector<feed::Took> took;
  bool last = false;
  std::optional<Error> error;

 private:
  feed::Mirror& mirror_;
};

// known: the run was there before; its file system may be back in a moment.
bool is_final(const Error& why, bool known) {
  return why.kind() == Kind::kAuth || why.kind() == Kind::kUnsupported ||
         why.kind() == Kind::kMalformed || (why.kind() == Kind::kNotFound && !known);
}

}  // namespace

Result<RunPlace> find_run_place(App& app, const std::string& text) {
  const std::size_t slash = text.find('/');
  if (slash == std::string::npos || slash + 1 == text.size()) {
    return fail(Error(Kind::kUsage, "find the run " + printable(text, 200), "it names no run")
                    .advise("write it like SITE/RUN; `longhaul runs SITE` lists them"));
  }
  RunPlace place;
  place.site = TRY(TRY(load_sites(app)).find(text.substr(0, slash)));
  place.run = text.substr(slash + 1);
  TRY(feed::run_folder(place.run));
  return place;
}

std::optional<std::string> wait_reason(const Connection& connection, Time now) {
  if (!connection.established()) return "connecting";
  if (const auto down = connection.down_since())
    return "no link for " + cli::human(Duration(now - *down)) + ", the run is unaffected";
  const session::Status status = connection.session().status();
  if (status.silent(now))
    return "no word of the site for " + cli::human(Duration(now - status.heard)) +
           ", the run is unaffected";
  return std::nullopt;
}

void RunWatch::stop(RunUser& user) {
  stop_ = true;
  user.on_stop();
}

void RunWatch::compare(std::uint32_t attempt, const std::vector<run::LogEntry>& entries) {
  for (const run::LogEntry& entry : entries) {
    const auto* start = std::get_if<run::Start>(&entry.record);
    if (start == nullptr) continue;
    const auto known = began_.emplace(attempt, start->at).first;
    other_ = other_ || known->second != start->at;
  }
}

// What is here is of a run that is no more; it may be all that is left of it.
Error RunWatch::put_away() {
  const auto error = [this](std::string advice) {
    return Error(Kind::kChanged, "watch " + place_.site.name + "/" + printable(place_.run, 200),
                 "it was removed there, and another was begun under its name")
        .advise(std::move(advice));
  };
  if (mirror_ == nullptr || !mirror_->appends())
    return error("end what else watches it here, then run the same command again");
  mirror_.reset();
  const std::string name =
      "mirror-" + std::to_string(began_.empty() ? 0 : began_.begin()->second.ns);
  const auto moved = folder_->rename(store::TreeName::known("mirror"), store::TreeName::known(name),
                                     store::Replace::kNo);
  if (!moved) return moved.error();
  return error("run the same command again; what was kept of the one before is in " +
               app_.home.state + "/runs/" + place_.site.name + "/" + place_.run + "/" + name);
}

void RunWatch::note(const feed::Event& event) {
  if (const auto* heard = std::get_if<feed::Heard>(&event)) compare(heard->attempt, heard->entries);
  if (const auto* took = std::get_if<feed::Took>(&event)) {
    compare(took->attempt, took->entries);
    have_[took->attempt] = {took->attempt, took->next, took->offset};
  }
  const auto* opened = std::get_if<feed::Opened>(&event);
  if (opened == nullptr) return;
  opened_ = opened_ || !opened->error;
  other_ = other_ || (opened->error && opened->error->kind() == Kind::kChanged);
  // The newest attempt says nothing, if it is one that was not here yet.
  const auto known = began_.find(opened->first);
  other_ = other_ || (opened->first > 0 && known != began_.end() && known->second != opened->began);
}

io::Task<Result<>> RunWatch::load_mirror(RunUser& user) {
  const std::string folder = app_.home.state + "/runs/" + place_.site.name + "/" + place_.run;
  auto opened = private_folder(folder);
  if (!opened) co_return fail(opened.error());
  folder_ = *std::move(opened);
  auto mirror = feed::Mirror::open(*folder_, store::TreeName::known("mirror"));
  if (!mirror) co_return fail(mirror.error());
  mirror_ = *std::move(mirror);
  for (bool last = false; !last && !stop_;) {
    Job job{JobId(1), JobClass::kDisk, std::make_unique<MirrorWork>(*mirror_)};
    const Job done = co_await app_.env.work(std::move(job));
    MirrorWork& work = done.as<MirrorWork>();
    for (feed::Took& took : work.took) {
      const feed::Event event(std::move(took));
      note(event);
      user.on_event(event);
    }
    if (work.error) co_return fail(*work.error);
    last = work.last;
  }
  co_return Result<>();
}

io::Task<Result<>> RunWatch::run(RunUser& user) {
  app_.when_stopped([this, &user] { stop(user); });
  if (options_.keeps && options_.past) {
    const Result<> loaded = co_await load_mirror(user);
    // Without a mirror everything works, but costs the link more.
    if (!loaded) {
      app_.console.err("not kept here: " + loaded.error().message() + "\n");
      mirror_.reset();
    }
  }
  Result<> ended;
  for (;;) {
    ended = co_await session(user);
    const bool again = !ended && options_.persists && stood_ && !stop_ && !other_ &&
                       !is_final(ended.error(), opened_ || !have_.empty());
    if (!again) break;
    LOG(app_.log, kInfo, "the session ended ({}); once more", ended.error().message());
    user.on_tick(app_.env.now(), nullptr);
    const Time later = app_.env.now() + kBetweenSessions;
    co_await app_.env.sleep_until(later);
  }
  app_.on_stop = nullptr;
  drop_empty_mirror();
  co_return ended;
}

io::Task<Result<>> RunWatch::read_kept(RunUser& user) {
  const Result<> read = co_await load_mirror(user);
  drop_empty_mirror();
  co_return read;
}

// Nothing came: there may be no such run, and its name is not to stay behind.
void RunWatch::drop_empty_mirror() {
  if (mirror_ == nullptr || !mirror_->appends() || !have_.empty()) return;
  remove_empty_mirror(app_.home.state + "/runs/" + place_.site.name, place_.run);
  mirror_.reset();
}

// Everything that was said since; a result: the session is over for us.
std::optional<Result<>> RunWatch::hear(Connection& connection, RunUser& user) {
  while (std::optional<feed::Event> event = connection.viewer().poll_event()) {
    note(*event);
    if (other_) return Result<>(fail(Kind::kChanged, "watch the run"));  // put_away() says more
    user.on_event(*event);
    if (const auto* opened = std::get_if<feed::Opened>(&*event); opened && opened->error)
      return Result<>(fail(Error(opened->error->kind(),
                                 "watch " + place_.site.name + "/" + printable(place_.run, 200),
                                 opened->error->why())
                               .advise(opened->error->kind() == Kind::kNotFound
                                           ? "`longhaul runs " + place_.site.name + "` lists them"
                                           : "")));
    if (const auto* broken = std::get_if<feed::FeedBroken>(&*event))
      return Result<>(fail(broken->why));
    if (const auto* failed = std::get_if<feed::MirrorFailed>(&*event))
      app_.console.err("no longer kept here: " + failed->why.message() + "\n");
  }
  if (user.done()) return Result<>();
  if (stop_) return Result<>(fail(Kind::kInterrupted, "watch the run"));
  if (connection.ended()) return Result<>(fail(*connection.ended()));
  return std::nullopt;
}

io::Task<Result<>> RunWatch::session(RunUser& user) {
  ConnectOptions connect = options_.connect;
  connect.required |= session::kCapabilityRuns;
  Result<std::unique_ptr<Connection>> made = Connection::make(app_, place_.site, connect);
  if (!made) co_return fail(made.error());
  const std::unique_ptr<Connection> connection = *std::move(made);
  feed::Viewer::WatchOptions watch;
  watch.run = place_.run;
  for (const auto& [attempt, place] : have_) watch.have.push_back(place);
  watch.past = options_.past;
  watch.live = options_.live;
  feed::Mirror* mirror = mirror_ != nullptr && mirror_->appends() ? mirror_.get() : nullptr;
  watch_ = connection->viewer().watch(app_.env.now(), watch, mirror);
  connection->poke();
  app_.when_stopped([this, &user, &connection] {
    stop(user);
    connection->wake();
  });
  std::optional<Result<>> result;
  while (!result) {
    result = hear(*connection, user);
    if (result) break;
    const Time now = app_.env.now();
    stood_ = stood_ || connection->established();
    user.on_tick(now, connection.get());
    if (user.done()) continue;
    co_await connection->changed(now + options_.tick);
  }
  app_.when_stopped([this, &user] { stop(user); });
  co_await connection->close();
  if (other_) co_return fail(put_away());
  co_return std::move(*result);
}

}  // namespace longhaul::proxy
