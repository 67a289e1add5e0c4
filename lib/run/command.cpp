#include "lib/run/command.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "lib/base/read_number.hpp"
#include "lib/run/crc32c.hpp"

namespace longhaul::run {
namespace {

constexpr std::string_view kNameCharacters =
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-/";

bool takes_value(CommandKind kind) {
  return kind == CommandKind::kSet || kind == CommandKind::kScale;
}

bool makes_sense(const Command& command) {
  if (command.id == 0) return false;
  if (!takes_value(command.kind)) return command.name.empty();
  return !command.name.empty() && command.name.fits() &&
         command.name.find_first_not_of(kNameCharacters) == std::string::npos &&
         std::isfinite(command.value);
}

bool expired(const Command& command, WallTime now) {
  return command.expires.ns != 0 && command.expires < now;
}

RunEvent event_of(WallTime now, std::uint64_t step, const Command& command, EventKind how,
                  std::string text) {
  if (text.size() > kEventTextMax) text.resize(kEventTextMax);
  return {how, step, now, command.id, command.who, {std::move(text)}};
}

}  // namespace

std::string shown(const Command& command) {
  if (!takes_value(command.kind)) {
    for (const auto& known : wire_values(command.kind))
      if (known.value == command.kind) return std::string(known.name);
  }
  return fmt::format("{}{}{}", command.name, command.kind == CommandKind::kScale ? "*=" : "=",
                     command.value);
}

Result<Command> parse_command(const std::string& text) {
  Command command;
  for (const auto& known : wire_values(CommandKind{})) {
    if (takes_value(known.value) || known.name != text) continue;
    command.kind = known.value;
    return command;
  }
  const auto refuse = [&text](const char* why) {
    return fail(Kind::kUsage, "understand '" + text + "'", why);
  };
  const std::size_t equals = text.find('=');
  if (equals == std::string::npos || equals == 0)
    return refuse("not NAME=VALUE, NAME*=VALUE, pause, resume, checkpoint or stop");
  const bool scales = text[equals - 1] == '*';
  command.kind = scales ? CommandKind::kScale : CommandKind::kSet;
  command.name = wire::Text<63>(text.substr(0, scales ? equals - 1 : equals));
  const std::string_view number = std::string_view(text).substr(equals + 1);
  const NumberRead read = read_number(number);
  command.value = read.value;
  if (read.length == 0 || read.length != number.size() || !std::isfinite(read.value))
    return refuse("the value is not a finite number");
  command.id = 1;  // so that only name and value are judged
  if (!makes_sense(command))
    return refuse("a name is 1 to 63 letters, digits, dots, slashes, dashes and underscores");
  command.id = 0;
  return command;
}

void ControlBook::on_event(const RunEvent& event) {
  if (event.id == 0) return;
  known_.insert(event.id);
  decided_.insert(event.id);
  std::erase_if(pending_, [&event](const Command& c) { return c.id == event.id; });
  if (event.kind != EventKind::kApplied) return;
  auto command = parse_command(event.text);
  if (!command || !takes_value(command->kind)) return;
  command->id = event.id;
  command->who = event.who;
  in_force_[command->name] = *command;
}

std::optional<RunEvent> ControlBook::on_command(WallTime now, std::uint64_t step,
                                                const Command& command) {
  // Without an id nothing would ever be known of it: each look at its file would log it anew.
  if (command.id == 0 || known_.contains(command.id)) return std::nullopt;
  if (!makes_sense(command))
    return done(now, step, command, EventKind::kRefused, "it makes no sense");
  if (expired(command, now)) return done(now, step, command, EventKind::kExpired, shown(command));
  if (pending_.size() >= kCommandsPendingMax)
    return done(now, step, command, EventKind::kRefused, "too many commands wait");
  known_.insert(command.id);
  pending_.push_back(command);
  return std::nullopt;
}

std::optional<Command> ControlBook::take(WallTime now, std::uint64_t step,
                                         std::vector<RunEvent>& late) {
  while (!pending_.empty()) {
    Command command = std::move(pending_.front());
    pending_.pop_front();
    if (!expired(command, now)) return command;
    late.push_back(done(now, step, command, EventKind::kExpired, shown(command)));
  }
  return std::nullopt;
}

RunEvent ControlBook::done(WallTime now, std::uint64_t step, const Command& command, EventKind how,
                           std::string text) {
  if (how == EventKind::kApplied) text = shown(command);
  // A mark says what was refused, too.
  if (how == EventKind::kRefused) text = shown(command) + (text.empty() ? "" : ": " + text);
  RunEvent event = event_of(now, step, command, how, std::move(text));
  on_event(event);
  return event;
}

ByteVector command_file(const Command& command) {
  ByteVector bytes = wire::encode(command);
  std::byte check[4];
  store_le(MutableBytes(check), crc32c(bytes));
  append(bytes, check);
  return bytes;
}

Result<Command> read_command_file(Bytes bytes) {
  if (bytes.size() < 4) return fail(Kind::kMalformed, "read a command", "it is too short");
  const Bytes message = bytes.first(bytes.size() - 4);
  if (load_le<std::uint32_t>(bytes.subspan(message.size())) != crc32c(message))
    return fail(Kind::kMalformed, "read a command", "it does not match its check");
  return wire::decode<Command>(message);
}

}  // namespace longhaul::run
