#include "trainer/asking/completion_stream.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

#include "lib/base/escape.hpp"
#include "trainer/json.hpp"

namespace longhaul::trainer {
namespace {

constexpr std::size_t kHeadMost = 64U << 10, kLineMost = 1U << 20, kSizeLineMost = 256;
constexpr std::size_t kSaidMost = 300;  // bytes of what a server says, for people
constexpr const char* kAttempt = "read the server's answer";

tl::unexpected<Error> malformed(std::string why) {
  return fail(Kind::kMalformed, kAttempt, std::move(why));
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return out;
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\r' || text.back() == '\t'))
    text.remove_suffix(1);
  return text;
}

std::optional<std::uint64_t> number_of(std::string_view text, int base) {
  std::uint64_t out = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out, base);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return out;
}

// Moves bytes up to and with the next newline to `held`; true when there was one.
bool take_line(std::string_view& bytes, std::string& held) {
  const std::size_t end = bytes.find('\n');
  const std::size_t count = std::min(end, bytes.size() - 1) + 1;
  held += bytes.substr(0, count);
  bytes.remove_prefix(count);
  return end != std::string_view::npos;
}

}  // namespace

Result<> CompletionStream::read_head(std::string_view head, std::string_view body) {
  const std::string_view status = trimmed(head.substr(0, head.find('\n')));
  if (!status.starts_with("HTTP/1.") || status.size() < 12) return malformed("it is no HTTP/1.1");
  if (status.substr(9, 3) != "200") {
    const std::string_view said = trimmed(body.substr(0, kSaidMost));
    return fail(
        Kind::kUsage, kAttempt,
        printable(status, kSaidMost) + (said.empty() ? "" : ": " + printable(said, kSaidMost)));
  }
  bool chunked = false;
  while (!head.empty()) {
    const std::size_t end = std::min(head.find('\n'), head.size() - 1);
    const std::string_view line = trimmed(head.substr(0, end));
    head.remove_prefix(end + 1);
    const std::size_t colon = std::min(line.find(':'), line.size());
    const std::string name = lower(line.substr(0, colon));
    const std::string value = lower(trimmed(line.substr(std::min(colon + 1, line.size()))));
    if (name == "transfer-encoding") {
      if (value != "chunked") return malformed("it is encoded as " + printable(value, 40));
      chunked = true;
    } else if (name == "content-encoding" && value != "identity") {
      return malformed("it is encoded as " + printable(value, 40));
    } else if (name == "content-length") {
      left_ = number_of(value, 10);
      if (!left_) return malformed("a length that is none");
    }
  }
  at_ = chunked ? At::kChunkSize : left_ == 0U ? At::kDone : At::kPlain;
  return {};
}

Result<> CompletionStream::read_chunk_size(std::string_view line) {
  line = trimmed(line.substr(0, line.find('\n')));
  left_ = number_of(trimmed(line.substr(0, line.find(';'))), 16);
  if (!left_) return malformed("a chunk's length that is none");
  at_ = left_ == 0U ? At::kTrailer : At::kChunk;
  return {};
}

Result<CompletionStream::Heard> CompletionStream::take(std::string_view bytes) {
  Heard heard;
  while (!bytes.empty() && at_ != At::kDone) {
    switch (at_) {
      case At::kHead: {
        if (!take_line(bytes, held_) || !(held_.ends_with("\n\r\n") || held_.ends_with("\n\n"))) {
          if (held_.size() > kHeadMost) return fail(Kind::kLimit, kAttempt, "its head is too long");
          break;
        }
        TRY(read_head(held_, bytes));
        held_.clear();
        break;
      }
      case At::kPlain:
      case At::kChunk: {
        const std::size_t count =
            std::min<std::uint64_t>(left_.value_or(bytes.size()), bytes.size());
        TRY(take_body(bytes.substr(0, count), heard));
        bytes.remove_prefix(count);
        if (left_ && (*left_ -= count) == 0) at_ = at_ == At::kChunk ? At::kChunkEnd : At::kDone;
        break;
      }
      case At::kChunkSize:
      case At::kChunkEnd:
      case At::kTrailer: {
        const bool whole = take_line(bytes, held_);
        if (held_.size() > kSizeLineMost) return fail(Kind::kLimit, kAttempt, "a line too long");
        if (!whole) break;
        const std::string line = std::exchange(held_, {});
        const bool empty = trimmed(std::string_view(line).substr(0, line.size() - 1)).empty();
        if (at_ == At::kChunkSize) {
          TRY(read_chunk_size(line));
        } else if (at_ == At::kChunkEnd) {
          if (!empty) return malformed("a chunk is longer than it says");
          at_ = At::kChunkSize;
        } else if (empty) {
          at_ = At::kDone;
        }
        break;
      }
      case At::kDone:
        break;
    }
  }
  heard.done = told_all_ || at_ == At::kDone;
  return heard;
}

Result<> CompletionStream::take_body(std::string_view bytes, Heard& heard) {
  while (!bytes.empty()) {
    const bool whole = take_line(bytes, line_);
    if (line_.size() > kLineMost) return fail(Kind::kLimit, kAttempt, "an event too long");
    if (!whole) return {};
    const std::string line = std::exchange(line_, {});
    TRY(take_event_line(trimmed(std::string_view(line).substr(0, line.size() - 1)), heard));
  }
  return {};
}

// Other fields of an event, comments and the empty line at its end say nothing here: these servers
// send each event's data as one line.
Result<> CompletionStream::take_event_line(std::string_view line, Heard& heard) {
  constexpr std::string_view kData = "data:";
  if (!line.starts_with(kData)) {
    if (line.starts_with('{'))
      return malformed("it is not streamed: " + printable(line, kSaidMost));
    return {};
  }
  const std::string_view data = trimmed(line.substr(kData.size()));
  if (data == "[DONE]") {
    told_all_ = true;
    return {};
  }
  return take_event(data, heard);
}

Result<> CompletionStream::take_event(std::string_view json, Heard& heard) {
  const Json event = TRY(Json::parse(json));
  if (event.at("error").present()) return fail(Kind::kUsage, kAttempt, printable(json, kSaidMost));
  for (const Json& choice : event.at("choices").items()) {
    const Json& content = choice.at("delta").at("content");
    const Json& text = content.present() ? content : choice.at("text");
    if (text.is(Json::Type::kString) && !text.text().empty()) ++heard.pieces;
  }
  const Json& usage = event.at("usage");
  if (!usage.present()) return {};
  if (const auto read = usage.at("prompt_tokens").unsigned_number()) prompt_tokens_ = *read;
  if (const auto made = usage.at("completion_tokens").unsigned_number()) made_tokens_ = *made;
  return {};
}

Result<> CompletionStream::end() const {
  if (told_all_ || at_ == At::kDone) return {};
  if (at_ == At::kPlain && !left_) return {};  // such a body ends with its connection
  return fail(Kind::kLink, kAttempt, "the connection ended before it");
}

}  // namespace longhaul::trainer
