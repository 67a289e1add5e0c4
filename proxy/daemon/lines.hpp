// Lines: what commands and the daemon say to each other over a unix socket of this user
// (docs/proxy.md): one JSON object a line, in both directions. A peer that sends anything else, or
// a line longer than is allowed, is hung up on. Pure.
//
//   LineReader reader(kRequestLineMax);
//   TRY(reader.take(bytes));
//   while (auto line = reader.next()) ..parse_request(*line)..
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "lib/base/bytes.hpp"
#include "lib/base/result.hpp"

namespace longhaul::daemon {

constexpr std::uint64_t kProtocolVersion = 1;
constexpr std::size_t kRequestLineMax = 4096;
constexpr std::size_t kReplyLineMax = 256U << 10;
constexpr std::size_t kLinesHeldMax = 16;  // whole lines that wait for their turn

// Cuts bytes into lines, however they are split.
class LineReader {
 public:
  explicit LineReader(std::size_t line_max) : line_max_(line_max) {}
  // kLimit: a line is too long, or too many wait; nothing more is to be read then.
  Result<> take(Bytes bytes);
  std::optional<std::string> next();  // without its end
  bool empty() const { return buffer_.empty(); }

 private:
  const std::size_t line_max_;
  std::string buffer_;
};

// One JSON object, its nested names joined by '/': all values as text.
class Fields {
 public:
  static Result<Fields> parse(std::string_view line);
  bool has(const std::string& name) const { return rows_.contains(name); }
  std::string text(const std::string& name) const;  // "" where there is none
  std::optional<std::uint64_t> count(const std::string& name) const;
  std::optional<std::int64_t> number(const std::string& name) const;
  bool flag(const std::string& name) const { return text(name) == "true"; }

 private:
  std::map<std::string, std::string> rows_;
};

enum class Question : std::uint8_t {
  kStatus,  // the daemon, its sites and runs, what is queued
  kRuns,    // the runs of a site
  kRun,     // how much of a run is mirrored
  kOrder,   // what became of an order
  kWork,    // something new is in the queue
  kWithdraw,
  kStop,
};
struct Request {
  Question question = Question::kStatus;
  std::string site, run;  // kRuns, kRun
  std::uint64_t id = 0;   // kOrder; kWithdraw: the order's number
  bool operator==(const Request&) const = default;
};
std::string to_line(const Request& request);  // with its end
// kUnsupported: another version of this protocol. kMalformed, kUsage: no question that we know.
Result<Request> parse_request(std::string_view line);

}  // namespace longhaul::daemon
