#include "trainer/arrival_order.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <numeric>

#include "lib/base/escape.hpp"
#include "lib/base/rng.hpp"
#include "trainer/checksum.hpp"

namespace longhaul::trainer {
namespace {

constexpr std::size_t kTurnBlocks = 16;        // 128 MiB, which take 80 ms to check
constexpr std::size_t kMissesMost = 4096;      // of a look: 0.2 s of checking what is not here
constexpr std::uint64_t kLookTokens = 65'536;  // checked at once: less than a feed keeps in memory
constexpr std::uint64_t kRecordMost = 4096;    // bytes
constexpr std::string_view kFirstLine = "longhaul order 1\n";

std::string head_of(const SampleOrder& order) {
  return fmt::format("{}{} {}\n", kFirstLine, order.blocks().size(), order.samples_per_epoch());
}

std::string with_checksum(std::string text) {
  text += fmt::format("{:016x}\n", checksum_of(bytes_of(text)));
  return text;
}

std::optional<std::vector<std::uint32_t>> numbers_of(std::string_view line) {
  std::vector<std::uint32_t> out;
  while (!line.empty()) {
    std::uint32_t number = 0;
    const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), number);
    const auto length = static_cast<std::size_t>(end - line.data());
    if (error != std::errc{} || length == line.size()) return std::nullopt;
    if (line[length] != ' ' && line[length] != '\n') return std::nullopt;
    out.push_back(number);
    line.remove_prefix(length + 1);
  }
  return out;
}

}  // namespace

Path ArrivalOrder::path_of(std::size_t turn) const {
  return folder_ / fmt::format("{:06}", turn);
}

Result<std::optional<std::vector<std::uint32_t>>> ArrivalOrder::recorded(
    const SampleOrder& order) const {
  const Path path = path_of(order.turns());
  const Result<std::string> text = read_text(path, kRecordMost);
  if (!text && text.error().kind() == Kind::kNotFound) return std::nullopt;
  if (!text) return fail(text.error());
  const auto refuse = [&](const char* why) {
    return fail(Error(Kind::kMalformed, "follow the order in " + printable(path.native()), why)
                    .advise("start another --run, or bring back that file"));
  };
  const std::string head = head_of(order);
  if (!text->starts_with(head)) return refuse("it is of other data or another --sequence");
  const std::size_t line = text->find('\n', head.size());
  if (line == std::string::npos || *text != with_checksum(text->substr(0, line + 1)))
    return refuse("it is damaged");
  auto blocks = numbers_of(std::string_view(*text).substr(head.size(), line + 1 - head.size()));
  if (!blocks || blocks->empty()) return refuse("it is damaged");
  return blocks;
}

Result<> ArrivalOrder::replay(SampleOrder& order) const {
  while (const auto blocks = TRY(recorded(order))) TRY(order.take(*blocks));
  return {};
}

// What was here stays here, so each look goes on where the last one ended.
Result<Presence> ArrivalOrder::look_at(std::uint32_t block, const SampleOrder& order,
                                       DataSource& source) {
  const TokenRange& whole = order.blocks()[block];
  std::uint64_t& seen = seen_[block];
  while (seen < whole.count) {
    const std::uint64_t count = std::min(kLookTokens, whole.count - seen);
    const TokenRange part{whole.shard, whole.first + seen, count};
    if (TRY(source.here(part)) == Presence::kNotYet) return Presence::kNotYet;
    seen += count;
  }
  return Presence::kThere;
}

Result<std::vector<std::uint32_t>> ArrivalOrder::found(const SampleOrder& order,
                                                       DataSource& source) {
  if (looks_.empty()) {
    looks_.resize(order.blocks().size());
    std::iota(looks_.begin(), looks_.end(), 0U);
    shuffle(looks_, seed_, "order.looks");
    seen_.resize(looks_.size());
  }
  std::vector<std::uint32_t> here;
  std::size_t misses = 0;
  for (std::size_t i = 0; i < looks_.size(); ++i, ++look_) {
    const std::uint32_t block = looks_[look_ % looks_.size()];
    if (order.is_taken(block)) continue;
    if (here.size() == kTurnBlocks || misses == kMissesMost) break;
    if (TRY(look_at(block, order, source)) == Presence::kThere)
      here.push_back(block);
    else
      ++misses;
  }
  return here;
}

Result<Presence> ArrivalOrder::next(SampleOrder& order, DataSource& source) {
  std::optional<std::vector<std::uint32_t>> blocks = TRY(recorded(order));
  if (!blocks) {
    const std::vector<std::uint32_t> here = TRY(found(order, source));
    if (here.empty()) return Presence::kNotYet;
    TRY(make_folders(folder_));
    const std::string text = fmt::format("{}{}\n", head_of(order), fmt::join(here, " "));
    const Result<> written = write_text_once(path_of(order.turns()), with_checksum(text));
    if (!written && written.error().kind() != Kind::kExists) return fail(written.error());
    blocks = TRY(recorded(order));  // this one, or of a rank that was first
    if (!blocks)
      return fail(Kind::kChanged, "follow the order in " + printable(folder_.native()),
                  "its newest file is gone");
  }
  TRY(order.take(*blocks));
  return Presence::kThere;
}

}  // namespace longhaul::trainer
