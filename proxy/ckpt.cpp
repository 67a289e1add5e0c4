#include "proxy/ckpt.hpp"

#include <fmt/format.h>

#include <charconv>

#include "lib/base/escape.hpp"
#include "lib/cli/exit_code.hpp"
#include "lib/cli/human.hpp"
#include "proxy/ask.hpp"
#include "proxy/files.hpp"
#include "proxy/orders.hpp"
#include "proxy/run_text.hpp"
#include "proxy/session_end.hpp"
#include "proxy/watch_transfer.hpp"

namespace longhaul::proxy {
namespace {

constexpr Duration kHeardWait = 5s;

using checkpoint::Form;
using checkpoint::Wanted;

struct StepPlace {
  RunPlace run;
  std::optional<std::uint64_t> step;  // nothing: the newest
};

// SITE/RUN[@STEP]; a run's name may hold an @ that no number follows.
Result<StepPlace> find_step_place(App& app, const std::string& text) {
  const std::size_t at = text.rfind('@');
  std::uint64_t step = 0;
  if (at != std::string::npos) {
    const char* const end = text.data() + text.size();
    const auto read = std::from_chars(text.data() + at + 1, end, step);
    if (read.ec == std::errc() && read.ptr == end)
      return StepPlace{TRY(find_run_place(app, text.substr(0, at))), step};
  }
  return StepPlace{TRY(find_run_place(app, text)), std::nullopt};
}

Error none(const StepPlace& place) {
  const std::string where = place.run.site.name + "/" + printable(place.run.run, 200);
  if (!place.step)
    return Error(Kind::kNotFound, "pull a checkpoint of " + where,
                 "the run has announced none that is still there");
  return Error(Kind::kNotFound,
               fmt::format("pull the checkpoint of step {} of {}", *place.step, where),
               "none is there, or no longer")
      .advise("`longhaul ckpt ls " + where + "` lists them");
}

void show(App& app, const wire::Line& line) {
  if (app.json) {
    cli::JsonLine out;
    out.add("event", "checkpoint").add("step", line.version).add("attempt", line.mode);
    out.add("time_ns", line.time_ns).add("files", line.files).add("bytes", line.bytes);
    app.json_line(out.add("folder", line.name));
    return;
  }
  app.console.out(fmt::format("{:>10}  {:>3}  {:<16}  {:>5}  {:>10}  {}\n", line.version, line.mode,
                              date_text(WallTime{line.time_ns}), line.files,
                              cli::human(ByteCount(line.bytes)), printable(line.name, 200)));
}

std::string word_of(Form form) {
  return form == Form::kFull ? "full" : "weights";
}

// The newest, or the one that was asked for.
Result<Wanted> choose(const StepPlace& place, const std::vector<wire::Line>& lines, Form form) {
  for (auto line = lines.rbegin(); line != lines.rend(); ++line)
    if (!place.step || line->version == *place.step)
      return Wanted{{line->mode, line->version, WallTime{line->time_ns}}, form};
  return fail(none(place));
}

io::Task<Result<Answer>> list_over(App& app, Connection& connection, RunPlace place) {
  const Question question{wire::AskType::kCheckpoints, place.run, 0};
  Result<Answer> answer = co_await ask_over(app, connection, place.site, question);
  if (answer && answer->refused) co_return fail(*answer->refused);
  co_return answer;
}

// A goodbye takes any way and may overtake the word that the checkpoint is here, behind which the
// site lets go of it. An answer comes behind that word. For a link that has just died this does not
// wait long: it is the site that then keeps one checkpoint more.
io::Task<> until_heard(App& app, Connection& connection, RunPlace place) {
  connection.exchange().ask(app.env.now(), wire::AskType::kCheckpoints, place.run, 0);
  connection.poke();
  const Time until = app.env.now() + kHeardWait;
  for (bool heard = false; !heard && !connection.ended() && app.env.now() < until;) {
    while (const std::optional<transfer::Event> event = connection.exchange().poll_event())
      heard = heard || std::holds_alternative<transfer::Answered>(*event);
    if (!heard) co_await connection.changed(until);
  }
}

io::Task<Result<>> pull_over(App& app, Connection& connection, StepPlace place, CheckpointHome home,
                             Form form) {
  const Time began = app.env.now();
  const Result<Answer> listed = co_await list_over(app, connection, place.run);
  if (!listed) co_return fail(listed.error());
  const Result<Wanted> wanted = choose(place, listed->lines, form);
  if (!wanted) co_return fail(wanted.error());
  const store::TreeName name = checkpoint::home_name(*wanted);
  const auto held = checkpoint::read_held(*home.files, name);
  if (held && held->run == home.run && checkpoint::is_home(held->what, *wanted)) {
    transfer::Finished there;
    there.committed.root = held->root;
    there.committed.existed = true;
    tell_home(app, home, *wanted, there, app.env.now() - began);
    co_return Result<>();
  }
  checkpoint::HomeOptions sink;
  sink.run = home.run;
  sink.wanted = *wanted;
  const transfer::TransferId id = start_pull(app.env.now(), connection, place.run.run, home, sink);
  const std::string title = fmt::format("pull step {}", wanted->checkpoint.step);
  const Result<transfer::Finished> finished = co_await watch_transfer(app, connection, id, title);
  if (!finished) co_return fail(finished.error());
  connection.note_moved(finished->progress.bytes_wire);
  if (finished->error) co_return fail(explain_answer(*finished->error, place.run.site.name));
  tell_home(app, home, *wanted, *finished, app.env.now() - began);
  co_await until_heard(app, connection, place.run);
  co_return Result<>();
}

}  // namespace

Result<CheckpointHome> open_home(const RunPlace& place, std::string target,
                                 const std::string& limit_rate) {
  CheckpointHome home;
  if (!limit_rate.empty()) home.limit = TRY(cli::parse_rate(limit_rate));
  home.run = place.site.name + "/" + place.run;
  if (target.empty()) target = "checkpoints/" + home.run;
  home.files = TRY(made_folder(target, 0777));
  home.path = TRY(real_path(target));
  return home;
}

transfer::TransferId start_pull(Time now, Connection& connection, const std::string& run,
                                const CheckpointHome& home, checkpoint::HomeOptions options) {
  transfer::Exchange::PullOptions pull;
  pull.dataset = run;
  pull.unfinished = checkpoint::may_be_here(*home.files, options.run, options.wanted);
  const Wanted& wanted = options.wanted;
  pull.limit = home.limit;
  pull.checkpoint = {wanted.checkpoint.step, wanted.form == Form::kFull};
  auto sink = std::make_shared<checkpoint::HomeSink>(home.files, std::move(options));
  const transfer::TransferId id = connection.exchange().start_pull(now, pull, std::move(sink));
  connection.poke();
  return id;
}

void tell_home(App& app, const CheckpointHome& home, const Wanted& wanted,
               const transfer::Finished& finished, Duration took) {
  const transfer::Progress& done = finished.progress;
  const std::string folder = home.path + "/" + checkpoint::home_name(wanted).text();
  if (app.json) {
    cli::JsonLine line;
    line.add("event", "done").add("run", home.run).add("step", wanted.checkpoint.step);
    line.add("attempt", wanted.checkpoint.attempt).add("form", word_of(wanted.form));
    line.add("folder", folder).add("existed", finished.committed.existed);
    line.add("files", done.files_total).add("bytes", done.bytes_total);
    line.add("bytes_wire", done.bytes_wire).add("bytes_present", done.bytes_present);
    line.add("root", finished.committed.root.hex());
    app.json_line(line.add("seconds", static_cast<double>(took.count()) / 1e9));
  } else if (finished.committed.existed) {
    app.console.err(fmt::format("step {} is here: {}\n", wanted.checkpoint.step, folder));
  } else {
    app.console.err(fmt::format(
        "step {}: {} ({}), {} as {} in {}, every byte checked\n", wanted.checkpoint.step, folder,
        wanted.form == Form::kFull ? "as it stands there" : "weights in bf16",
        cli::human(ByteCount(done.bytes_total)), cli::human(ByteCount(done.bytes_wire)),
        cli::human(took)));
  }
}

io::Task<int> ckpt_list(App& app, CkptListOptions options) {
  const Result<RunPlace> place = find_run_place(app, options.place);
  if (!place) co_return app.failed(place.error());
  ConnectOptions connect;
  connect.required = session::kCapabilityCheckpoints;
  Result<std::unique_ptr<Connection>> made = Connection::make(app, place->site, connect);
  if (!made) co_return app.failed(made.error());
  const std::unique_ptr<Connection> connection = *std::move(made);
  const Result<Answer> answer = co_await list_over(app, *connection, *place);
  co_await connection->close();
  if (!answer) co_return app.failed(answer.error());
  if (!app.json && answer->lines.empty())
    app.console.err("none yet: a run announces its checkpoints by longhaul.h\n");
  if (!app.json && !answer->lines.empty())
    app.console.out(fmt::format("{:>10}  {:>3}  {:<16}  {:>5}  {:>10}  {}\n", "STEP", "ATT",
                                "ANNOUNCED", "FILES", "BYTES", "FOLDER"));
  for (const wire::Line& line : answer->lines) show(app, line);
  co_return cli::kOk;
}

io::Task<int> ckpt_pull(App& app, CkptPullOptions options) {
  const Result<StepPlace> place = find_step_place(app, options.place);
  if (!place) co_return app.failed(place.error());
  const Result<CheckpointHome> home = open_home(place->run, options.target, options.limit_rate);
  if (!home) co_return app.failed(home.error());
  if (options.queue) {
    FetchOrder order{place->run, place->step, *home, options.limit_rate, options.full};
    co_return co_await order_fetch(app, std::move(order));
  }
  ConnectOptions connect;
  connect.expects_bulk = true;
  connect.required = home->required();
  Result<std::unique_ptr<Connection>> made = Connection::make(app, place->run.site, connect);
  if (!made) co_return app.failed(made.error());
  const std::unique_ptr<Connection> connection = *std::move(made);
  const Form form = options.full ? Form::kFull : Form::kWeights;
  const Result<> pulled = co_await pull_over(app, *connection, *place, *home, form);
  co_await connection->close();
  co_return pulled ? static_cast<int>(cli::kOk) : app.failed(pulled.error());
}

}  // namespace longhaul::proxy
