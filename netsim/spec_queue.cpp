// parse_queue() and queue_text(): limits, discipline, marking, in any order, each at most once.
#include <fmt/format.h>

#include <algorithm>

#include "lib/base/escape.hpp"
#include "netsim/quantity.hpp"
#include "netsim/spec.hpp"
#include "netsim/spec_words.hpp"
#include "netsim/trace.hpp"

namespace netsim {
namespace {

using words::refuse;
using words::split;
using words::tail_of;

constexpr std::uint64_t kQueueMost = 1U << 30;  // as check() in config.hpp

struct Draft {
  QueueConfig queue;
  bool has_discipline = false;
  bool unlimited = false;
};

Result<ByteCount> of_rate(std::string_view text, const QueueContext& context, Duration span) {
  const auto rate = mean_rate(context.rate);
  if (!rate) return refuse("queue", text, "a queue in time or bdp needs a rate; give bytes");
  const ByteCount bytes = rate->bytes_in(span);
  // Below one full packet nothing would ever pass.
  return std::max(bytes, ByteCount(1514));
}

Result<> set_bytes(std::string_view text, Draft& draft, ByteCount bytes) {
  if (draft.queue.bytes_max) return refuse("queue", text, "two limits in bytes or time");
  if (bytes.value() == 0 || bytes.value() > kQueueMost)
    return refuse("queue", text, "a queue is from 1B to 1GiB");
  draft.queue.bytes_max = bytes;
  return {};
}

Result<> set_discipline(std::string_view text, std::string_view word, Draft& draft) {
  if (draft.has_discipline) return refuse("queue", text, "two disciplines");
  draft.has_discipline = true;
  const auto colon = word.find(':');
  const std::string_view name = word.substr(0, colon);
  std::vector<Duration> times;
  if (colon != std::string_view::npos)
    for (const std::string_view part : split(word.substr(colon + 1), '/'))
      times.push_back(TRY(parse_duration(part)));
  const auto given = times.size();
  if (name == "droptail" && given == 0) {
    draft.queue.discipline = DropTail{};
  } else if (name == "drophead" && given == 0) {
    draft.queue.discipline = DropHead{};
  } else if (name == "codel" && (given == 0 || given == 2)) {
    draft.queue.discipline = given == 0 ? CoDel{} : CoDel{times[0], times[1]};
  } else if (name == "pie" && (given == 0 || given == 3)) {
    draft.queue.discipline = given == 0 ? Pie{} : Pie{times[0], times[1], times[2]};
  } else {
    return refuse("queue", text,
                  fmt::format("'{}' is no discipline: droptail, drophead, codel, "
                              "codel:5ms/100ms, pie, pie:15ms/15ms/150ms",
                              longhaul::printable(word, 40)));
  }
  return {};
}

Result<> read_word(std::string_view text, std::string_view word, const QueueContext& context,
                   Draft& draft) {
  if (word == "unlimited") {
    draft.unlimited = true;
    return {};
  }
  if (word == "ecn") {
    draft.queue.ecn = true;
    return {};
  }
  if (const auto above = tail_of(word, "mark:")) {
    draft.queue.mark_above = TRY(parse_size(*above));
    return {};
  }
  if (word.empty() || word[0] < '0' || word[0] > '9') return set_discipline(text, word, draft);
  if (word.ends_with("bdp")) {
    const double times = TRY(parse_number(word.substr(0, word.size() - 3)));
    if (!(times <= 1000)) return refuse("queue", text, "over 1000 bdp");
    const auto span = static_cast<std::int64_t>(times * static_cast<double>(context.rtt.count()));
    return set_bytes(text, draft, TRY(of_rate(text, context, Duration{span})));
  }
  if (word.ends_with('p')) {
    if (draft.queue.packets_max) return refuse("queue", text, "two limits in packets");
    const auto packets = TRY(parse_count(word.substr(0, word.size() - 1), 1, 100'000'000));
    draft.queue.packets_max = static_cast<std::uint32_t>(packets);
    return {};
  }
  if (word.ends_with('B')) return set_bytes(text, draft, TRY(parse_size(word)));
  const Duration span = TRY(parse_duration(word));
  if (span <= Duration{0}) return refuse("queue", text, "a queue of 0 lets nothing pass");
  return set_bytes(text, draft, TRY(of_rate(text, context, span)));
}

}  // namespace

Result<QueueConfig> parse_queue(std::string_view text, const QueueContext& context) {
  Draft draft;
  for (const std::string_view word : split(text, ',')) TRY(read_word(text, word, context, draft));
  QueueConfig& queue = draft.queue;
  if (draft.unlimited && (queue.bytes_max || queue.packets_max))
    return refuse("queue", text, "unlimited and a limit");
  const bool aqm = std::holds_alternative<CoDel>(queue.discipline) ||
                   std::holds_alternative<Pie>(queue.discipline);
  if (queue.ecn && !aqm) return refuse("queue", text, "ecn needs codel or pie; or use mark:64KiB");
  return queue;
}

std::string queue_text(const QueueConfig& queue) {
  std::string out;
  const auto add = [&out](const std::string& word) { out += (out.empty() ? "" : ",") + word; };
  if (queue.bytes_max) add(to_text(*queue.bytes_max));
  if (queue.packets_max) add(fmt::format("{}p", *queue.packets_max));
  if (out.empty()) add("unlimited");
  if (std::holds_alternative<DropHead>(queue.discipline)) add("drophead");
  if (const auto* codel = std::get_if<CoDel>(&queue.discipline))
    add(fmt::format("codel:{}/{}", to_text(codel->target), to_text(codel->interval)));
  if (const auto* pie = std::get_if<Pie>(&queue.discipline))
    add(fmt::format("pie:{}/{}/{}", to_text(pie->target), to_text(pie->update),
                    to_text(pie->burst)));
  if (queue.ecn) add("ecn");
  if (queue.mark_above) add("mark:" + to_text(*queue.mark_above));
  return out;
}

std::optional<BytesPerSecond> mean_rate(const RateConfig& rate) {
  if (const auto* constant = std::get_if<ConstantRate>(&rate)) return constant->rate;
  if (const auto* trace = std::get_if<TraceRate>(&rate)) return mean_rate(*trace);
  return std::nullopt;
}

}  // namespace netsim
