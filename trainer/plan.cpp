#include "trainer/plan.hpp"

#include <algorithm>
#include <string>
#include <utility>

#include "lib/base/escape.hpp"
#include "trainer/parameters.hpp"

namespace longhaul::trainer {

const std::vector<Accelerator>& accelerators() {
  static const std::vector<Accelerator> kAll = {
      {"a40", 149.7e12, 48e9, 696e9},    {"a100", 312e12, 80e9, 2039e9},
      {"h100", 989.4e12, 80e9, 3350e9},  {"h100-pcie", 756e12, 80e9, 2000e9},
      {"h200", 989.4e12, 141e9, 4800e9}, {"l40s", 362e12, 48e9, 864e9},
  };
  return kAll;
}

Result<Accelerator> accelerator(std::string_view name) {
  for (const Accelerator& one : accelerators())
    if (one.name == name) return one;
  return fail(Error(Kind::kNotFound, "find the accelerator \"" + printable(name, 32) + "\"",
                    "there is: a40, a100, h100, h100-pcie, h200, l40s")
                  .advise("name one of these, or give its dense bf16 peak as --peak-tflops"));
}

namespace {

// In small letters.
std::vector<std::string> words_of(std::string_view name) {
  std::vector<std::string> words(1);
  for (const char c : name) {
    const bool capital = c >= 'A' && c <= 'Z';
    if (capital || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')) {
      words.back() += capital ? static_cast<char>(c - 'A' + 'a') : c;
    } else if (!words.back().empty()) {
      words.emplace_back();
    }
  }
  return words;
}

}  // namespace

const Accelerator* accelerator_called(std::string_view gpu) {
  const std::vector<std::string> words = words_of(gpu);
  const auto has = [&](std::string_view word) {
    return std::find(words.begin(), words.end(), word) != words.end();
  };
  if (has("mig") || has("nvl")) return nullptr;
  const Accelerator* best = nullptr;
  for (const Accelerator& card : accelerators()) {
    const std::vector<std::string> own = words_of(card.name);
    if (std::all_of(own.begin(), own.end(), has) &&
        (best == nullptr || own.size() > words_of(best->name).size()))
      best = &card;
  }
  return best;
}

Result<> check(const PlanInputs& in) {
  const std::pair<bool, const char*> kRules[] = {
      {in.ranks >= 1, "--ranks is at least 1"},
      {in.sequence >= 1, "--sequence is at least 1"},
      {in.mfu > 0 && in.mfu <= 1, "--mfu lies in (0, 1]"},
      {in.peak_flops > 0, "--peak-tflops is above 0"},
      {in.tokens > 0, "--tokens is not below 0"},
      {in.price_per_hour >= 0, "--price is not below 0"},
      {in.link_bits_per_second >= 0, "--link is not below 0"},
      {in.token_bytes > 0, "--token-bytes is above 0"},
      {in.step_tokens >= 0, "--step-tokens is not below 0"},
  };
  for (const auto& [holds, sentence] : kRules)
    if (!holds) return fail(Kind::kUsage, "plan", sentence);
  return {};
}

namespace {

double polar_flops(const PlanInputs& in) {  // of a step
  const ParameterLayout layout(in.model);
  double products = 0;
  for (const MatrixGroup& group : layout.groups())
    products += static_cast<double>(group.count) * polar_cost(group);
  return 2 * products * in.polar_steps;
}

}  // namespace

Plan plan(const PlanInputs& in) {
  Plan out{};
  const double flops = train_flops_full(in.model, in.sequence);
  const double polar = in.step_tokens > 0 ? polar_flops(in) / in.step_tokens : 0;  // a token
  out.tokens_per_second = in.ranks * in.peak_flops * in.mfu / (flops + polar);
  out.polar_share = polar / (flops + polar);
  out.seconds = in.tokens / out.tokens_per_second;
  out.cost = out.seconds / 3600 * in.ranks * in.price_per_hour;
  out.feed_bits_per_second = out.tokens_per_second * in.token_bytes * 8;
  if (in.link_bits_per_second > 0) {
    out.link_share = out.feed_bits_per_second / in.link_bits_per_second;
    out.upload_seconds = in.tokens * in.token_bytes * 8 / in.link_bits_per_second;
  }
  return out;
}

}  // namespace longhaul::trainer
