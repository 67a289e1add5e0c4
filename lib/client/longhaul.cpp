#include "lib/client/longhaul.h"

#include <algorithm>
#include <cstring>
#include <new>

#include "lib/client/reporter.hpp"

// What C holds is a Reporter, by another name, and nothing that throws gets out of here. No struct
// around it: each step on the way to a point costs a call whose memory is cold 80 ns.
namespace {

longhaul::client::Reporter* reporter_of(longhaul_run* run) {
  return reinterpret_cast<longhaul::client::Reporter*>(run);
}
const longhaul::client::Reporter* reporter_of(const longhaul_run* run) {
  return reinterpret_cast<const longhaul::client::Reporter*>(run);
}

using longhaul::run::CommandKind;
using longhaul::run::EventKind;
using longhaul::run::SeriesId;

void tell(char* to, std::size_t size, const std::string& text) {
  if (to == nullptr || size == 0) return;
  const std::size_t length = std::min(size - 1, text.size());
  std::memcpy(to, text.data(), length);
  to[length] = '\0';
}

std::string text_or_empty(const char* text) {
  return text == nullptr ? std::string() : std::string(text);
}

// Runs `call`; what it throws (no memory, no thread) ends here.
template <class Call>
bool safely(Call&& call) noexcept {
  try {
    call();
    return true;
  } catch (...) {
    return false;
  }
}

static_assert(LONGHAUL_SET == static_cast<int>(CommandKind::kSet));
static_assert(LONGHAUL_STOP == static_cast<int>(CommandKind::kStop));
static_assert(LONGHAUL_APPLIED == static_cast<int>(EventKind::kApplied));
static_assert(LONGHAUL_REFUSED == static_cast<int>(EventKind::kRefused));

longhaul::run::Command from_c(const longhaul_command& command) {
  longhaul::run::Command out;
  out.id = command.id;
  out.kind = static_cast<CommandKind>(command.kind);
  out.name = longhaul::wire::Text<63>(std::string(command.name, ::strnlen(command.name, 63)));
  out.value = command.value;
  out.who = longhaul::wire::Text<255>(std::string(command.who, ::strnlen(command.who, 255)));
  return out;
}

}  // namespace

longhaul_run* longhaul_open(const longhaul_options* options, char* error, size_t error_size) {
  longhaul_run* run = nullptr;
  const bool whole = safely([&] {
    if (options == nullptr || options->size < sizeof(longhaul_options)) {
      tell(error, error_size, "open a run: options->size is not sizeof(longhaul_options)");
      return;
    }
    longhaul::client::ReporterOptions mine;
    mine.folder = text_or_empty(options->folder);
    if (options->config_json != nullptr) mine.config = options->config_json;
    mine.shared = text_or_empty(options->shared);
    mine.threads = options->threads;
    mine.forget_controls = options->forget_controls != 0;
    auto reporter = longhaul::client::Reporter::open(mine);
    if (!reporter) {
      tell(error, error_size, reporter.error().message());
      return;
    }
    run = reinterpret_cast<longhaul_run*>(reporter->release());
  });
  if (!whole) tell(error, error_size, "open a run: no memory or no thread left");
  return run;
}

uint32_t longhaul_attempt(const longhaul_run* run) {
  return run == nullptr ? 0 : reporter_of(run)->attempt();
}

int longhaul_superseded(const longhaul_run* run) {
  return run != nullptr && reporter_of(run)->superseded() ? 1 : 0;
}

uint32_t longhaul_series(longhaul_run* run, const char* name) {
  SeriesId id = longhaul::run::kNoSeries;
  if (run != nullptr && name != nullptr) safely([&] { id = reporter_of(run)->series(name); });
  return id.value();
}

void longhaul_log(longhaul_run* run, uint32_t series, uint64_t step, double value) {
  if (run != nullptr) reporter_of(run)->log(SeriesId(series), step, value);
}

void longhaul_mark(longhaul_run* run, uint64_t step, const char* text) {
  if (run != nullptr)
    safely([&] { reporter_of(run)->event(EventKind::kMark, step, text_or_empty(text)); });
}

void longhaul_checkpoint(longhaul_run* run, uint64_t step, const char* folder) {
  if (run != nullptr)
    safely([&] { reporter_of(run)->event(EventKind::kCheckpoint, step, text_or_empty(folder)); });
}

void longhaul_resumed(longhaul_run* run, uint64_t step, const char* folder) {
  if (run != nullptr)
    safely([&] { reporter_of(run)->event(EventKind::kResumed, step, text_or_empty(folder)); });
}

int longhaul_poll(longhaul_run* run, uint64_t step, longhaul_command* command) {
  if (run == nullptr || command == nullptr) return 0;
  std::optional<longhaul::run::Command> found;
  safely([&] { found = reporter_of(run)->poll(step); });
  if (!found) return 0;
  *command = {};
  command->id = found->id;
  command->kind = static_cast<uint32_t>(found->kind);
  tell(command->name, sizeof command->name, found->name);
  command->value = found->value;
  tell(command->who, sizeof command->who, found->who);
  return 1;
}

void longhaul_done(longhaul_run* run, const longhaul_command* command, uint64_t step, int how,
                   const char* why) {
  if (run == nullptr || command == nullptr) return;
  if (command->kind < LONGHAUL_SET || command->kind > LONGHAUL_STOP) return;
  const EventKind kind = how == LONGHAUL_APPLIED ? EventKind::kApplied : EventKind::kRefused;
  safely([&] { reporter_of(run)->done(from_c(*command), step, kind, text_or_empty(why)); });
}

void longhaul_status(const longhaul_run* run, longhaul_counts* counts) {
  if (run == nullptr || counts == nullptr || counts->size < sizeof(longhaul_counts)) return;
  safely([&] {
    const longhaul::client::Counts now = reporter_of(run)->counts();
    counts->logged = now.logged;
    counts->dropped = now.dropped;
    counts->failed_writes = now.failed_writes;
    counts->last_errno = now.last_errno;
  });
}

void longhaul_close(longhaul_run* run, const char* why) {
  if (run == nullptr) return;
  safely([&] { reporter_of(run)->close(text_or_empty(why)); });
  delete reporter_of(run);
}
