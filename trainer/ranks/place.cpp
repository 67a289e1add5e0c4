#include "trainer/ranks/place.hpp"

#include <charconv>
#include <optional>
#include <string_view>

#include "lib/base/escape.hpp"

namespace longhaul::trainer {
namespace {

constexpr std::uint64_t kFirstJobPort = 20'000, kJobPorts = 12'000;

Result<std::optional<std::uint64_t>> number(const Lookup& variable, const char* name,
                                            std::uint64_t most) {
  const char* text = variable(name);
  if (text == nullptr || *text == '\0') return std::optional<std::uint64_t>();
  const std::string_view all = text;
  std::uint64_t value = 0;
  const auto read = std::from_chars(all.data(), all.data() + all.size(), value);
  if (read.ec != std::errc() || read.ptr != all.data() + all.size() || value > most)
    return fail(Kind::kUsage, std::string("read ") + name,
                printable(all, 64) + " is no number that fits there");
  return std::optional(value);
}

Result<std::uint64_t> needed(const Lookup& variable, const char* name, std::uint64_t most) {
  const std::optional<std::uint64_t> value = TRY(number(variable, name, most));
  if (value) return *value;
  return fail(Kind::kUsage, "find out which rank this is", std::string(name) + " is not set");
}

Result<std::uint64_t> gpu_of(const Lookup& variable, const char* name) {
  const std::uint64_t local_rank = TRY(number(variable, name, kMaxRanks)).value_or(0);
  const char* visible = variable("CUDA_VISIBLE_DEVICES");
  const std::string_view shown = visible == nullptr ? "" : visible;
  const bool has_one = !shown.empty() && shown.find(',') == std::string_view::npos;
  return has_one ? 0 : local_rank;
}

Result<RankPlace> checked(RankPlace place) {
  if (place.ranks == 0 || place.rank >= place.ranks)
    return fail(Kind::kUsage, "find out which rank this is",
                "rank " + std::to_string(place.rank) + " of " + std::to_string(place.ranks));
  return place;
}

Result<RankPlace> by_torchrun(const Lookup& variable) {
  RankPlace place;
  place.rank = TRY(needed(variable, "RANK", kMaxRanks));
  place.ranks = TRY(needed(variable, "WORLD_SIZE", kMaxRanks));
  place.gpu = TRY(gpu_of(variable, "LOCAL_RANK"));
  if (place.alone()) return checked(place);
  if (const char* host = variable("MASTER_ADDR"); host != nullptr) place.host = host;
  const std::uint64_t port = TRY(needed(variable, "MASTER_PORT", 65'534));
  const char* taken = variable("TORCHELASTIC_USE_AGENT_STORE");
  place.port = static_cast<std::uint16_t>(
      port + (taken != nullptr && std::string_view(taken) == "True" ? 1 : 0));
  if (place.rank == 0) {
    const auto listener = TRY(number(variable, "LONGHAUL_RANKS_LISTENER", 1U << 20));
    if (listener) place.listener = static_cast<int>(*listener);
  }
  return checked(place);
}

Result<RankPlace> by_slurm(const Lookup& variable) {
  RankPlace place;
  place.rank = TRY(needed(variable, "SLURM_PROCID", kMaxRanks));
  place.ranks = TRY(needed(variable, "SLURM_STEP_NUM_TASKS", kMaxRanks));
  place.gpu = TRY(gpu_of(variable, "SLURM_LOCALID"));
  if (place.alone()) return checked(place);
  const char* host = variable("MASTER_ADDR");
  const char* nodes = variable("SLURM_STEP_NODELIST");
  if (host == nullptr && nodes == nullptr)
    return fail(Kind::kUsage, "find rank 0's host",
                "neither MASTER_ADDR nor SLURM_STEP_NODELIST is set");
  place.host = host != nullptr ? host : first_host(nodes);
  const auto port = TRY(number(variable, "MASTER_PORT", 65'535));
  const std::uint64_t job = TRY(number(variable, "SLURM_JOB_ID", ~std::uint64_t{0})).value_or(0);
  place.port = static_cast<std::uint16_t>(port.value_or(kFirstJobPort + job % kJobPorts));
  return checked(place);
}

}  // namespace

std::string first_host(const std::string& list) {
  const auto open = list.find('['), comma = list.find(',');
  if (open == std::string::npos || comma < open) return list.substr(0, comma);
  const auto end = list.find_first_of("-,]", open);
  const auto close = list.find(']', open);
  if (close == std::string::npos) return list.substr(0, open);
  // What may follow the bracket, up to the next host.
  const std::string tail = list.substr(close + 1, list.find(',', close) - close - 1);
  return list.substr(0, open) + list.substr(open + 1, end - open - 1) + tail;
}

Result<RankPlace> rank_place_of(const Lookup& variable) {
  const auto set = [&](const char* name) {
    const char* text = variable(name);
    return text != nullptr && *text != '\0';
  };
  if (set("WORLD_SIZE")) return by_torchrun(variable);
  if (set("SLURM_STEP_NUM_TASKS")) return by_slurm(variable);
  return RankPlace{};
}

}  // namespace longhaul::trainer
