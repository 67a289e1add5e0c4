#include "trainer/client/client_reporter.hpp"

#include <algorithm>
#include <cstring>

#include "lib/base/escape.hpp"

namespace longhaul::trainer {
namespace {

using Verb = Command::Verb;
constexpr std::array<std::pair<Verb, std::uint32_t>, 6> kVerbs = {
    {{Verb::kSet, LONGHAUL_SET},
     {Verb::kScale, LONGHAUL_SCALE},
     {Verb::kPause, LONGHAUL_PAUSE},
     {Verb::kResume, LONGHAUL_RESUME},
     {Verb::kCheckpoint, LONGHAUL_CHECKPOINT},
     {Verb::kStop, LONGHAUL_STOP}}};

std::uint32_t kind_of(Verb verb) {
  const auto found = std::find_if(kVerbs.begin(), kVerbs.end(),
                                  [&](const auto& entry) { return entry.first == verb; });
  return found->second;
}

template <std::size_t N>
void put(char (&to)[N], const std::string& text) {
  const std::size_t length = std::min(N - 1, text.size());
  std::memcpy(to, text.data(), length);
  to[length] = '\0';
}

}  // namespace

ClientReporter::ClientReporter(longhaul_run* run) : run_(run), attempt_(longhaul_attempt(run)) {
  for (std::size_t i = 0; i < kSeriesCount; ++i)
    series_[i] = longhaul_series(run, std::string(name_of(static_cast<Series>(i))).c_str());
}

Result<std::unique_ptr<Reporter>> ClientReporter::begin(const RunOpening& opening) {
  const std::string folder = opening.run.native();
  longhaul_options options{};
  options.size = sizeof options;
  options.folder = folder.c_str();
  options.config_json = opening.config.c_str();
  options.threads = 1;
  options.forget_controls = opening.forget_controls ? 1 : 0;
  char why[512] = "";
  longhaul_run* run = longhaul_open(&options, why, sizeof why);
  if (run == nullptr)
    return fail(Error(Kind::kIo, "begin an attempt of the run in " + printable(folder), why)
                    .advise("another folder for the ring than /dev/shm: $LONGHAUL_SHM"));
  std::unique_ptr<ClientReporter> reporter(new ClientReporter(run));
  if (opening.jsonl)
    reporter->lines_ = TRY(FileReporter::open(opening.run / "metrics.jsonl", reporter->attempt()));
  return std::unique_ptr<Reporter>(std::move(reporter));
}

ClientReporter::~ClientReporter() {
  longhaul_close(run_, "it failed");  // nothing to do after end()
}

void ClientReporter::end(std::string_view why) {
  longhaul_counts counts{};
  counts.size = sizeof counts;
  longhaul_status(run_, &counts);
  longhaul_close(std::exchange(run_, nullptr), std::string(why).c_str());
  untold_ = {counts.dropped, counts.failed_writes};
  if (!lines_) return;
  lines_->end(why);
  untold_.dropped += lines_->untold().dropped;
  untold_.unwritten += lines_->untold().unwritten;
}

void ClientReporter::log(Series series, std::uint64_t step, double value) noexcept {
  longhaul_log(run_, series_[static_cast<std::size_t>(series)], step, value);
  if (lines_) lines_->log(series, step, value);
}

void ClientReporter::mark(std::uint64_t step, std::string_view text) {
  longhaul_mark(run_, step, std::string(text).c_str());
  if (lines_) lines_->mark(step, text);
}

void ClientReporter::checkpointed(std::uint64_t step, const Path& folder) {
  longhaul_checkpoint(run_, step, folder.native().c_str());
  if (lines_) lines_->checkpointed(step, folder);
}

void ClientReporter::resumed(std::uint64_t step, const Path& folder) {
  longhaul_resumed(run_, step, folder.native().c_str());
  if (lines_) lines_->resumed(step, folder);
}

std::optional<Command> ClientReporter::poll(std::uint64_t step) {
  longhaul_command given;
  while (longhaul_poll(run_, step, &given) != 0) {
    const auto verb = std::find_if(kVerbs.begin(), kVerbs.end(),
                                   [&](const auto& entry) { return entry.second == given.kind; });
    if (verb != kVerbs.end())
      return Command{given.id, verb->first, given.name, given.value, given.who};
    longhaul_done(run_, &given, step, LONGHAUL_REFUSED, "this trainer does not know the command");
  }
  return std::nullopt;
}

void ClientReporter::answer(const Command& command, std::uint64_t step, const Result<>& done) {
  longhaul_command given{};
  given.id = command.id;
  given.kind = kind_of(command.verb);
  put(given.name, command.key);
  given.value = command.value;
  put(given.who, command.who);
  longhaul_done(run_, &given, step, done ? LONGHAUL_APPLIED : LONGHAUL_REFUSED,
                done ? nullptr : done.error().message().c_str());
}

}  // namespace longhaul::trainer
