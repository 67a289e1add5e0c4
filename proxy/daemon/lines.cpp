#include "proxy/daemon/lines.hpp"

#include <array>
#include <charconv>

#include "lib/base/escape.hpp"
#include "lib/cli/flat_json.hpp"
#include "lib/cli/json_line.hpp"

namespace longhaul::daemon {
namespace {

struct Word {
  Question question;
  std::string_view word;
};
constexpr std::array kWords{
    Word{Question::kStatus, "status"}, Word{Question::kRuns, "runs"},
    Word{Question::kRun, "run"},       Word{Question::kOrder, "order"},
    Word{Question::kWork, "work"},     Word{Question::kWithdraw, "withdraw"},
    Word{Question::kStop, "stop"}};
constexpr std::size_t kSiteTextMax = 64, kRunTextMax = 200;

template <class Int>
std::optional<Int> whole(const std::string& text) {
  Int value = 0;
  const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (status != std::errc{} || end != text.data() + text.size() || text.empty())
    return std::nullopt;
  return value;
}

}  // namespace

Result<> LineReader::take(Bytes bytes) {
  if (buffer_.size() + bytes.size() > line_max_ * kLinesHeldMax)
    return fail(Kind::kLimit, "read a line", "too much was sent at once");
  const std::size_t last = buffer_.rfind('\n');
  buffer_.append(text_of(bytes));
  // No line may be longer, the one that is not whole yet included.
  std::size_t begin = last == std::string::npos ? 0 : last + 1;
  for (;;) {
    const std::size_t end = buffer_.find('\n', begin);
    const std::size_t length = (end == std::string::npos ? buffer_.size() : end) - begin;
    if (length > line_max_) return fail(Kind::kLimit, "read a line", "it is too long");
    if (end == std::string::npos) return {};
    begin = end + 1;
  }
}

std::optional<std::string> LineReader::next() {
  const std::size_t end = buffer_.find('\n');
  if (end == std::string::npos) return std::nullopt;
  std::string line = buffer_.substr(0, end);
  buffer_.erase(0, end + 1);
  return line;
}

Result<Fields> Fields::parse(std::string_view line) {
  Fields fields;
  fields.rows_ = TRY(cli::flat_json(line));
  return fields;
}

std::string Fields::text(const std::string& name) const {
  const auto found = rows_.find(name);
  return found == rows_.end() ? std::string() : found->second;
}
std::optional<std::uint64_t> Fields::count(const std::string& name) const {
  return whole<std::uint64_t>(text(name));
}
std::optional<std::int64_t> Fields::number(const std::string& name) const {
  return whole<std::int64_t>(text(name));
}

std::string to_line(const Request& request) {
  cli::JsonLine line;
  line.add("longhaul_proxy", kProtocolVersion);
  for (const Word& word : kWords)
    if (word.question == request.question) line.add("ask", word.word);
  if (!request.site.empty()) line.add("site", request.site);
  if (!request.run.empty()) line.add("run", request.run);
  if (request.id != 0) line.add("id", request.id);
  return line.text() + "\n";
}

Result<Request> parse_request(std::string_view line) {
  const Fields fields = TRY(Fields::parse(line));
  const auto version = fields.count("longhaul_proxy");
  if (!version) return fail(Kind::kMalformed, "read a request", "it names no version");
  if (*version != kProtocolVersion) {
    return fail(Error(Kind::kUnsupported, "talk to the proxy daemon",
                      "it speaks version " + std::to_string(kProtocolVersion) + ", not " +
                          std::to_string(*version))
                    .advise("`longhaul proxy stop`, then `longhaul proxy start`"));
  }
  Request request;
  bool known = false;
  for (const Word& word : kWords) {
    if (word.word != fields.text("ask")) continue;
    request.question = word.question;
    known = true;
  }
  if (!known)
    return fail(Kind::kUsage, "read a request",
                "nothing can be asked as '" + printable(fields.text("ask"), 40) + "'");
  request.site = fields.text("site");
  request.run = fields.text("run");
  request.id = fields.count("id").value_or(0);
  if (request.site.size() > kSiteTextMax || request.run.size() > kRunTextMax)
    return fail(Kind::kUsage, "read a request", "a name in it is too long");
  const bool of_site = request.question == Question::kRuns || request.question == Question::kRun;
  if (of_site == request.site.empty() ||
      (request.question == Question::kRun) == request.run.empty())
    return fail(Kind::kUsage, "read a request", "it names not what it asks for");
  const bool of_order =
      request.question == Question::kOrder || request.question == Question::kWithdraw;
  if (of_order != (request.id != 0))
    return fail(Kind::kUsage, "read a request", "it names no order");
  return request;
}

}  // namespace longhaul::daemon
