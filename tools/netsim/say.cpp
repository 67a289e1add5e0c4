#include "tools/netsim/say.hpp"

#include <fmt/format.h>

#include <cstdio>

#include <nlohmann/json.hpp>

#include "tools/netsim/commands.hpp"

namespace netsim::tool {
namespace {

void say_direction(const std::string& name, const nlohmann::json& d) {
  std::string drops;
  for (const auto& [why, count] : d["dropped"].items())
    if (count.get<std::uint64_t>() > 0) drops += fmt::format(" {} {},", count.dump(), why);
  if (drops.empty()) drops = " none,";
  drops.pop_back();
  say(fmt::format("{} {} packets ({:.3f} MB) in, {} out; dropped:{}", name, d["packets_in"].dump(),
                  d["bytes_in"].get<double>() / 1e6, d["delivered"].dump(), drops));
}

void say_links(const nlohmann::json& report) {
  if (!report.contains("links")) {
    say_direction("a to b:", report["up"]);
    return say_direction("b to a:", report["down"]);
  }
  for (const auto& [name, link] : report["links"].items()) {
    const auto a = link["between"][0].get<std::string>(), b = link["between"][1].get<std::string>();
    say_direction(fmt::format("{}: {} to {}:", name, a, b), link["up"]);
    say_direction(fmt::format("{}: {} to {}:", name, b, a), link["down"]);
  }
}

}  // namespace

void say(std::string_view line) {
  std::fprintf(stderr, "netsim: %.*s\n", static_cast<int>(line.size()), line.data());
}

int give_up(const longhaul::Error& error) {
  say(error.message());
  if (!error.advice().empty()) say(error.advice());
  using longhaul::Kind;
  const Kind kind = error.kind();
  const bool usage = kind == Kind::kUsage || kind == Kind::kNotFound || kind == Kind::kMalformed;
  return usage ? kUsageExit : kOwnFailureExit;
}

Validity say_report(const std::string& report, bool quiet) {
  const auto json = nlohmann::json::parse(report, nullptr, false);
  if (json.is_discarded() || !json.contains("valid")) return Validity::kInvalid;
  const bool valid = json["valid"].get<bool>();
  if (!quiet) {
    say_links(json);
    const auto& late = json["lateness_us"];
    say(fmt::format("lateness: median {:.0f} us, p99 {:.0f} us, max {:.0f} us over {} packets",
                    late["p50"].get<double>(), late["p99"].get<double>(), late["max"].get<double>(),
                    late["packets"].dump()));
    for (const auto& note : json["notes"]) say("note: " + note.get<std::string>());
  }
  if (!valid) say("INVALID: " + json["why"].get<std::string>());
  return valid ? Validity::kValid : Validity::kInvalid;
}

}  // namespace netsim::tool
