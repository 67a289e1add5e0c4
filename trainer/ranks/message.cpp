#include "trainer/ranks/message.hpp"

#include <fmt/format.h>

#include <bit>

#include "lib/base/escape.hpp"

namespace longhaul::trainer {
namespace {

constexpr std::size_t kLength = 4, kHead = 10;
constexpr std::size_t kMaxSettings = 256;
constexpr std::size_t kMostWhy = 600;  // of another rank's last words

tl::unexpected<Error> broken() {
  return fail(Kind::kMalformed, "read what another rank says", "it is no message of this version");
}

template <class Int>
void put(std::string& out, Int value) {
  std::array<std::byte, sizeof(Int)> bytes{};
  store_le(MutableBytes(bytes), value);
  out += text_of(bytes);
}

template <class Int>
Int get(std::string_view text, std::size_t at) {
  return load_le<Int>(bytes_of(text.substr(at)));
}

// `said`.step is a Kind, of another rank's error: this one's is of the same kind.
Error error_like(const Message& said, std::string attempt, std::string why) {
  const bool known = said.step <= static_cast<std::uint64_t>(Kind::kInterrupted);
  const Kind kind = known ? static_cast<Kind>(said.step) : Kind::kLink;
  Error error(kind, std::move(attempt), std::move(why));
  if (kind != Kind::kLink && kind != Kind::kTimeout) return error;
  return std::move(error).advise("start the run again with --resume auto");
}

}  // namespace

Message end_by(const std::optional<Error>& error) {
  if (!error) return {Message::Kind::kEnd, true};
  const std::string text = error->message().substr(0, kMostWhy);
  return {Message::Kind::kEnd, error->kind() == Kind::kInterrupted,
          static_cast<std::uint64_t>(error->kind()), text};
}

Error error_of_end(const Message& end, std::string attempt) {
  return error_like(end, std::move(attempt),
                    "rank 0 has ended the run: " + printable(end.text, kMostWhy));
}

Message failed_by(const Error& error) {
  return {Message::Kind::kFailed, error.kind() == Kind::kInterrupted,
          static_cast<std::uint64_t>(error.kind()), error.message().substr(0, kMostWhy)};
}

Error error_of_failed(std::uint64_t rank, const Message& failed, std::string attempt) {
  return error_like(failed, std::move(attempt),
                    fmt::format("rank {}: {}", rank, printable(failed.text, kMostWhy)));
}

std::string to_frame(const Message& message) {
  ASSERT(message.text.size() <= kMaxFrame - kHead);
  std::string out;
  put(out, static_cast<std::uint32_t>(kHead + message.text.size()));
  put(out, static_cast<std::uint8_t>(message.kind));
  put(out, static_cast<std::uint8_t>(message.stop ? 1 : 0));
  put(out, message.step);
  return out + message.text;
}

Result<std::optional<Message>> take_frame(std::string& buffer) {
  if (buffer.size() < kLength) return std::optional<Message>();
  const auto length = get<std::uint32_t>(buffer, 0);
  if (length < kHead || length > kMaxFrame) return broken();
  if (buffer.size() < kLength + length) return std::optional<Message>();
  const auto kind = get<std::uint8_t>(buffer, kLength);
  const auto stop = get<std::uint8_t>(buffer, kLength + 1);
  if (kind < static_cast<std::uint8_t>(Message::Kind::kHello) ||
      kind > static_cast<std::uint8_t>(Message::Kind::kEnd) || stop > 1)
    return broken();
  Message message{static_cast<Message::Kind>(kind), stop == 1,
                  get<std::uint64_t>(buffer, kLength + 2),
                  buffer.substr(kLength + kHead, length - kHead)};
  buffer.erase(0, kLength + length);
  return std::optional(std::move(message));
}

std::string to_text(std::span<const std::string> parts) {
  std::string out;
  for (const std::string& part : parts) {
    put(out, static_cast<std::uint32_t>(part.size()));
    out += part;
  }
  return out;
}

Result<std::vector<std::string>> parts_of(std::string_view text, std::size_t most) {
  std::vector<std::string> out;
  while (!text.empty()) {
    if (text.size() < kLength || out.size() == most) return broken();
    const auto length = get<std::uint32_t>(text, 0);
    text.remove_prefix(kLength);
    if (length > text.size()) return broken();
    out.emplace_back(text.substr(0, length));
    text.remove_prefix(length);
  }
  return out;
}

std::string to_text(std::span<const Command> settings) {
  std::vector<std::string> parts;
  for (const Command& command : settings) {
    std::string part;
    put(part, static_cast<std::uint8_t>(command.verb));
    put(part, std::bit_cast<std::uint64_t>(command.value));
    parts.push_back(part + command.key);
  }
  return to_text(parts);
}

Result<std::vector<Command>> settings_of(std::string_view text) {
  constexpr std::size_t kFixed = 9;
  std::vector<Command> out;
  const std::vector<std::string> parts = TRY(parts_of(text, kMaxSettings));
  for (const std::string& part : parts) {
    if (part.size() < kFixed) return broken();
    Command command;
    command.verb = static_cast<Command::Verb>(get<std::uint8_t>(part, 0));
    if (command.verb != Command::Verb::kSet && command.verb != Command::Verb::kScale)
      return broken();
    command.value = std::bit_cast<double>(get<std::uint64_t>(part, 1));
    command.key = part.substr(kFixed);
    out.push_back(std::move(command));
  }
  return out;
}

}  // namespace longhaul::trainer
