// What a run is told, before anything of it is opened.
#include "trainer/train_options.hpp"

#include <gtest/gtest.h>

namespace longhaul::trainer {
namespace {

std::string refusal(const std::vector<std::string>& words) {
  TrainOptions run;
  Options options;
  list_options(options, run);
  const auto rest = options.parse(words);
  if (!rest) return "not read: " + rest.error().message();
  const Result<> checked = check_rules(run);
  if (checked) return "";
  EXPECT_EQ(checked.error().kind(), Kind::kUsage);
  return checked.error().why();
}

TEST(TrainOptions, TakesNumbersWithinTheirRanges) {
  const struct {
    const char *flag, *bad, *good, *why;
  } kRows[] = {
      {"--rate", "-1", "1e-3", "--rate is above 0 (0: the optimizer's usual)"},
      {"--rest-rate", "-1e-9", "1e-3", "--rest-rate is above 0 (0: the optimizer's usual)"},
      {"--momentum", "7", "0", "--momentum lies in [0, 1)"},
      {"--momentum", "1", "0.999", "--momentum lies in [0, 1)"},
      {"--momentum", "-0.5", "-1", "--momentum lies in [0, 1)"},
      {"--decay", "99", "0", "--decay lies in [0, 10]"},
      {"--decay", "-0.1", "-1", "--decay lies in [0, 10]"},
      {"--kappa", "-5", "0", "--kappa lies in [0, 100]"},
      {"--kappa", "101", "2", "--kappa lies in [0, 100]"},
      {"--clip", "-1", "0", "--clip is a norm (0: none)"},
      {"--spike", "0.5", "10", "--spike is at least 1 (0: none)"},
      {"--noise", "-1", "0.1", "--noise is a scale (0: none)"},
      {"--noise-alpha", "1", "2", "--noise-alpha lies in (1, 2]"},
      {"--warmup", "-1", "0", "--warmup is a share of the steps, in [0, 1]"},
      {"--cooldown", "9", "1", "--cooldown is a share of the steps, in [0, 1]"},
      {"--floor", "-3", "0", "--floor is the schedule's last factor, in [0, 1]"},
      {"--beta1", "1", "0", "--beta1 lies in [0, 1)"},
      {"--beta2", "1.5", "0.95", "--beta2 lies in [0, 1)"},
      {"--eps", "-1e-8", "1e-8", "--eps is above 0 (0: the optimizer's usual)"},
      {"--row-beta", "-2", "-1", "--row-beta lies in [0, 1)"},
      {"--radius", "-1", "0", "--radius is above 0 (0: 1)"},
      {"--rest-radius", "-1", "0", "--rest-radius is above 0 (0: 1)"},
      {"--rest", "muon", "adamw", "--rest is adamw or sign"},
  };
  for (const auto& row : kRows) {
    EXPECT_EQ(refusal({row.flag, row.bad}), row.why) << row.flag << " " << row.bad;
    EXPECT_EQ(refusal({row.flag, row.good}), "") << row.flag << " " << row.good;
  }
  EXPECT_EQ(refusal({}), "");
}

TEST(TrainOptions, RefusesWhatARuleDoesNotUse) {
  const auto said = [](const char* flag, const char* optimizer, const char* rest) {
    return std::string(flag) + " is not used by --optimizer " + optimizer + " with --rest " + rest;
  };
  const struct {
    const char *flag, *value;   // value: null of a flag without one
    const char *unused, *used;  // optimizers
  } kRows[] = {
      {"--rest", "sign", "adamw", "muon"},
      {"--momentum", "0.9", "adamw", "transported"},
      {"--nesterov", "yes", "adamw", "muon"},
      {"--nesterov", "no", "scion", "transported"},
      {"--polar", "polar-express", "adamw", "scion"},
      {"--scale", "spectral", "adamw", "normuon"},
      {"--decay", "0.1", "scion", "adamw"},
      {"--kappa", "5", "adamw", "scion"},
      {"--radius", "3", "muon", "scion"},
      {"--rest-radius", "3", "muon", "scion"},
      {"--constrained", nullptr, "normuon", "scion"},
      {"--beta1", "0.9", "scion", "adamw"},
      {"--beta2", "0.9", "scion", "muon"},
      {"--eps", "1e-8", "scion", "muon"},
      {"--row-beta", "0.9", "muon", "normuon"},
  };
  for (const auto& row : kRows) {
    std::vector<std::string> words = {"--optimizer", row.unused, row.flag};
    if (row.value != nullptr) words.emplace_back(row.value);
    const std::string flag = std::string(row.flag) == "--rest" ? "--rest sign" : row.flag;
    const bool sign = flag == "--rest sign" || std::string(row.unused) == "scion";
    EXPECT_EQ(refusal(words), said(flag.c_str(), row.unused, sign ? "sign" : "adamw"));
    words[1] = row.used;
    EXPECT_EQ(refusal(words), "") << row.flag << " of " << row.used;
  }
  // Which rule the rest takes decides about its own.
  EXPECT_EQ(refusal({"--optimizer", "scion", "--rest", "adamw", "--beta1", "0.9"}), "");
  EXPECT_EQ(refusal({"--optimizer", "muon", "--rest", "sign", "--rest-radius", "2"}), "");
  EXPECT_EQ(refusal({"--optimizer", "muon", "--rest", "sign", "--constrained"}), "");
  EXPECT_EQ(refusal({"--optimizer", "muon", "--rest", "sign", "--eps", "1e-8"}),
            said("--eps", "muon", "sign"));
}

}  // namespace
}  // namespace longhaul::trainer
