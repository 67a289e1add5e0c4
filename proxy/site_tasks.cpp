// Orders that a program of its own carries out: what it takes of memory and descriptors goes with
// it.
#include "lib/base/escape.hpp"
#include "proxy/daemon/lines.hpp"
#include "proxy/site_keeper.hpp"

namespace longhaul::proxy {
namespace {

void add(std::vector<std::string>& command, const char* flag, const std::string& value) {
  if (!value.empty()) command.push_back(std::string(flag) + "=" + value);
}

std::vector<std::string> command_of(const daemon::Order& order) {
  std::vector<std::string> command{"/proc/self/exe"};
  if (order.kind == daemon::OrderKind::kPush) {
    command.insert(command.end(), {"push", order.source, order.site + ":" + order.target});
    for (const std::string& pattern : order.excludes) add(command, "--exclude", pattern);
    for (const std::string& path : order.exclude_from) add(command, "--exclude-from", path);
    add(command, "--files-from", order.files_from);
    add(command, "--mode", order.mode);
  } else {
    const bool one = order.kind == daemon::OrderKind::kFetch;
    command.insert(command.end(),
                   {"ckpt", one ? "pull" : "follow", order.site + "/" + order.target, order.into});
    if (order.keep != 0) add(command, "--keep", std::to_string(order.keep));
    if (order.full) command.push_back("--full");
    if (order.full_daily) command.push_back("--full-daily");
  }
  add(command, "--limit-rate", order.limit_rate);
  command.push_back("--json");
  return command;
}

}  // namespace

// What a line says for people, if it is an end.
std::string SiteKeeper::hear_program(std::uint64_t id, const std::string& line) {
  const auto fields = daemon::Fields::parse(line);
  if (!fields) return {};
  if (fields->text("event") == "error") return printable(fields->text("why"), 300);
  if (fields->text("event") != "done") return {};
  if (!fields->has("step")) return printable(fields->text("version"), 40);
  const std::string folder = printable(fields->text("folder"), 300);
  core_.on_task_news(id, static_cast<std::uint32_t>(fields->count("attempt").value_or(0)),
                     fields->count("step").value_or(0), folder);
  wake();
  return folder;
}

io::Task<> SiteKeeper::run_task(daemon::Order order) {
  std::vector<std::string> command = command_of(order);
  LOG(app_.log, kInfo, "{}: try {}", in_words(order), order.tries);
  Result<std::unique_ptr<io::Process>> started = app_.env.run_program(std::move(command));
  if (!started) {
    core_.on_task_ended(app_.env.now(), order.id, std::nullopt, started.error().message());
    wake();
    co_return;
  }
  const std::unique_ptr<io::Process> process = *std::move(started);
  programs_[order.id] = process.get();
  if (stopping_ || ending_.contains(order.id)) process->terminate();
  std::optional<daemon::LineReader> lines(daemon::kReplyLineMax);
  std::string text;
  for (;;) {
    const Result<Slice> read = co_await process->read();
    if (!read || read->size() == 0) break;
    const Result<> taken = lines->take(read->bytes());
    if (!taken) lines.emplace(daemon::kReplyLineMax);
    while (const auto line = lines->next()) {
      const std::string said = hear_program(order.id, *line);
      if (!said.empty()) text = said;
    }
  }
  const int code = co_await process->exited();
  programs_.erase(order.id);
  ending_.erase(order.id);
  if (text.empty()) text = io::last_line(process->complaint());
  LOG(app_.log, kInfo, "{}: ended with {}: {}", in_words(order), code, text);
  core_.on_task_ended(app_.env.now(), order.id, code, text);
  wake();
}

}  // namespace longhaul::proxy
