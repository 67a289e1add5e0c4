// `serve-bench --url`: a server that speaks OpenAI's API, wherever it is. What the way costs is
// told apart from what the server takes: each request has a connection of its own, whose handshake
// is one round trip of the kernels.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>

#include "lib/base/rng.hpp"
#include "lib/cli/exit_code.hpp"
#include "trainer/asking/completion_client.hpp"
#include "trainer/engine/serve_options.hpp"
#include "trainer/json.hpp"

namespace longhaul::trainer {
namespace {

constexpr std::array<std::string_view, 8> kWords = {"time",  "year", "people", "way",
                                                    "water", "day",  "part",   "sound"};

// So many common words, which are about as many tokens; no two alike, so that no server has them.
std::vector<Question> questions_of(const ServeOptions& s) {
  Rng words(s.model.seed, "serve.words");
  std::vector<Question> out;
  for (const Arrival& arrival : arrivals_of(s)) {
    Question one{arrival.at, {}, arrival.output};
    for (std::uint32_t i = 0; i < arrival.prompt; ++i)
      one.prompt += (i == 0 ? "" : " ") + std::string(kWords[words.below(kWords.size())]);
    out.push_back(std::move(one));
  }
  return out;
}

}  // namespace

ServeLimits ServeOptions::limits() const {
  const auto milliseconds = [](double ms) { return Duration(static_cast<std::int64_t>(ms * 1e6)); };
  return {milliseconds(ttft_ms), milliseconds(tpot_ms)};
}

std::vector<Arrival> arrivals_of(const ServeOptions& s) {
  Rng when(s.model.seed, "serve.arrivals"), length(s.model.seed, "serve.lengths");
  const auto some = [&](std::uint64_t tokens) {
    const auto off = static_cast<std::uint64_t>(s.spread * static_cast<double>(tokens));
    return static_cast<std::uint32_t>(
        length.between(std::max<std::uint64_t>(1, tokens - off), tokens + off));
  };
  std::vector<Arrival> out;
  double at = 0;
  for (std::uint64_t i = 0; i < s.requests; ++i) {
    if (s.rate > 0 && i > 0) at += -std::log(1 - when.unit()) / s.rate;
    Arrival one;
    one.at = Duration(static_cast<std::int64_t>(at * 1e9));
    one.prompt = some(s.prompt);
    one.output = some(s.output);
    out.push_back(one);
  }
  return out;
}

std::string to_json(const Spread3& s) {
  return fmt::format("{{\"mean\":{:.6f},\"median\":{:.6f},\"p99\":{:.6f}}}", s.mean, s.median,
                     s.p99);
}

std::string to_json(const ServeReport& report) {
  return fmt::format(
      "\"seconds\":{:.3f},\"requests_per_second\":{:.4f},\"output_tokens_per_second\":{:.2f},"
      "\"total_tokens_per_second\":{:.2f},\"goodput\":{:.4f},\"within\":{},\"ttft\":{},\"tpot\":{},"
      "\"itl\":{},\"end_to_end\":{}",
      report.seconds, report.requests_per_second, report.output_per_second, report.total_per_second,
      report.goodput, report.within, to_json(report.ttft), to_json(report.tpot),
      to_json(report.itl), to_json(report.end_to_end));
}

Result<int> serve_remote(Outside& outside, const ServeOptions& s) {
  const ServerUrl url = TRY(ServerUrl::parse(s.url));
  AskOptions how;
  how.model = s.served_model;
  if (const char* key = std::getenv("OPENAI_API_KEY")) how.key = key;
  how.stop_asked = [&outside] { return outside.control.stop_asked(); };
  const std::vector<Answer> answers = TRY(ask_all(url, questions_of(s), how));
  std::vector<Served> served;
  std::vector<double> round_trip, of_the_server;
  std::uint64_t read = 0, made = 0, pieces = 0;
  for (const Answer& one : answers) {
    served.push_back({one.asked, static_cast<std::uint32_t>(one.prompt_tokens), one.pieces});
    const Duration first = one.pieces.front() - one.sent - one.round_trip;
    round_trip.push_back(std::chrono::duration<double>(one.round_trip).count());
    of_the_server.push_back(std::max(0.0, std::chrono::duration<double>(first).count()));
    read += one.prompt_tokens;
    made += one.made_tokens;
    pieces += one.pieces.size();
  }
  const ServeReport report = report_of(served, s.limits());
  outside.console.out(fmt::format(
      "{{\"bench\":\"serve-remote\",\"cell\":\"{}/s\","
      "\"url\":{},\"model\":{},\"requests\":{},\"rate\":{},"
      "\"prompt_words\":{},\"output\":{},\"prompt_tokens\":{},\"made_tokens\":{},\"pieces\":{},"
      "\"round_trip\":{},\"ttft_less_round_trip\":{},{}}}\n",
      s.rate, json_quoted(s.url), json_quoted(s.served_model), report.requests, s.rate, s.prompt,
      s.output, read, made, pieces, to_json(spread_of(round_trip)),
      to_json(spread_of(of_the_server)), to_json(report)));
  return cli::kOk;
}

}  // namespace longhaul::trainer
