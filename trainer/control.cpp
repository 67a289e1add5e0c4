#include "trainer/control.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "lib/base/escape.hpp"

namespace longhaul::trainer {
namespace {

constexpr std::array<std::string_view, 4> kKeys = {"rate", "rest_rate", "clip", "kappa"};
constexpr std::size_t kMaxSeen = 1024;  // ids remembered against a second application

}  // namespace

Result<Command> parse_command(std::string_view text) {
  Command command;
  const auto refuse = [&] {
    return fail(Kind::kUsage, "obey \"" + printable(text, 64) + "\"",
                "there is: set rate|rest_rate|clip|kappa=NUMBER, pause, resume, checkpoint, stop");
  };
  if (text.starts_with("set ")) {
    const std::string_view rest = text.substr(4);
    const auto equals = rest.find('=');
    if (equals == std::string_view::npos) return refuse();
    command.verb = Command::Verb::kSet;
    command.key = std::string(rest.substr(0, equals));
    const std::string_view number = rest.substr(equals + 1);
    const auto read = std::from_chars(number.data(), number.data() + number.size(), command.value);
    if (std::count(kKeys.begin(), kKeys.end(), command.key) == 0 || read.ec != std::errc() ||
        read.ptr != number.data() + number.size() || !std::isfinite(command.value) ||
        command.value < 0)
      return refuse();
    return command;
  }
  using Verb = Command::Verb;
  constexpr std::array<std::pair<std::string_view, Verb>, 4> kVerbs = {
      {{"pause", Verb::kPause},
       {"resume", Verb::kResume},
       {"checkpoint", Verb::kCheckpoint},
       {"stop", Verb::kStop}}};
  for (const auto& [name, verb] : kVerbs) {
    if (text != name) continue;
    command.verb = verb;
    return command;
  }
  return refuse();
}

void Control::post(Command command) {
  {
    const std::lock_guard lock(mutex_);
    waiting_.push_back(std::move(command));
  }
  pending_.store(true, std::memory_order_release);
  posted_.notify_all();
}

void Control::wait(Duration most) {
  std::unique_lock lock(mutex_);
  posted_.wait_for(lock, most, [this] { return pending(); });
}

void Control::post_stop_from_signal() {
  signalled_.store(true, std::memory_order_relaxed);
  pending_.store(true, std::memory_order_release);
}

std::vector<Command> Control::take() {
  if (!pending_.exchange(false, std::memory_order_acquire)) return {};
  std::vector<Command> out;
  const std::lock_guard lock(mutex_);
  for (Command& command : waiting_) {
    if (command.id != 0) {
      if (std::count(seen_.begin(), seen_.end(), command.id) > 0) continue;
      if (seen_.size() == kMaxSeen) seen_.erase(seen_.begin());
      seen_.push_back(command.id);
    }
    out.push_back(std::move(command));
  }
  waiting_.clear();
  if (signalled_.load(std::memory_order_relaxed))
    out.push_back({.verb = Command::Verb::kStop, .key = {}, .who = "signal"});
  return out;
}

}  // namespace longhaul::trainer
