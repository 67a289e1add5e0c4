// `serve-bench`: requests arrive as a Poisson process and are answered by continuous batching; then
// llama-bench's two figures, a prompt of 512 and 128 tokens made, alone. By the CPU's decoder or a
// device's.
#include <ATen/Parallel.h>
#include <fmt/format.h>
#include <poll.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <map>

#include "lib/base/rng.hpp"
#include "lib/cli/exit_code.hpp"
#include "trainer/engine/commands.hpp"
#include "trainer/engine/cpu_decoder.hpp"
#include "trainer/engine/memory_rate.hpp"
#include "trainer/engine/serve_options.hpp"
#include "trainer/engine/serving.hpp"
#include "trainer/engine/train_setup.hpp"
#include "trainer/engine/within_memory.hpp"

namespace longhaul::trainer {
namespace {

void list(Options& o, ServeOptions& s) {
  o.add("model", s.model.model, "tiny, llama-60m .. llama-1.4b, or a Hugging Face folder");
  o.add("load", s.model.load, "the folder's weights (else drawn from --seed: as fast)");
  o.add("device", s.model.device,
        "cpu, cuda, cuda:N: it has never run on a GPU. cpu-device is the GPU's code on the CPU, "
        "slow, for tests");
  o.add("dtype", s.model.dtype,
        "on a device: of weights, of what is kept and of what stands between: fp32 or bf16");
  o.add("separate-launches", s.separate, "on a GPU: without CUDA graphs");
  o.add("threads", s.model.threads, "CPU threads");
  o.add("seed", s.model.seed, "of arrivals, lengths and prompts");
  o.add("requests", s.requests, "how many");
  o.add("rate", s.rate, "arrivals a second, a Poisson process (0: all at once)");
  o.add("prompt", s.prompt, "tokens a request brings");
  o.add("output", s.output, "tokens it is answered with");
  o.add("spread", s.spread, "both lengths uniform within this share of them, in [0, 1)");
  o.add("most-requests", s.most, "at work at once");
  o.add("round-tokens", s.round, "positions a round");
  o.add("pool-tokens", s.pool, "positions whose keys and values the pool holds");
  o.add("ttft-ms", s.ttft_ms, "goodput's limit to the first token");
  o.add("tpot-ms", s.tpot_ms, "goodput's limit a token after it");
  o.add("repetitions", s.repetitions, "of pp512 and tg128 (0: without them)");
  o.add("url", s.url,
        "instead of --model: an OpenAI-compatible server, http://HOST:PORT/v1 or its "
        "..completions; $OPENAI_API_KEY is its key");
  o.add("served-model", s.served_model, "with --url: which of the server's");
}

Result<> check(const ServeOptions& s) {
  const auto nonsense = [](const char* why) { return fail(Kind::kUsage, "serve", why); };
  if (s.requests == 0 || s.prompt == 0 || s.output == 0 || s.most == 0)
    return nonsense("requests, prompt, output or most-requests 0");
  if (s.round < s.most) return nonsense("--round-tokens is below --most-requests");
  if (s.prompt > 1U << 20 || s.output > 1U << 20 || s.pool > 1U << 24 || s.round > 1U << 16 ||
      s.requests > 1U << 20 || s.pool < kBlockTokens)
    return nonsense("a number out of range");
  if (!(s.spread >= 0 && s.spread < 1) || s.rate < 0) return nonsense("--spread or --rate");
  if (s.model.threads == 0 || s.model.threads > 4096) return nonsense("--threads out of range");
  TRY(products_of(s.model));
  if (s.model.device == "cpu" && s.model.dtype != "fp32")
    return nonsense("--dtype bf16 goes with a --device other than cpu");
  return {};
}

ServerOptions server_options(const ServeOptions& s) {
  return {.pool_tokens = s.pool,
          .most_requests = static_cast<std::uint32_t>(s.most),
          .round_tokens = static_cast<std::uint32_t>(s.round)};
}

struct Serving {
  std::unique_ptr<Model> model;  // of the CPU's decoder, which reads it
  std::unique_ptr<Decoder> decoder;
  Device device;
};

Result<Serving> serving_of(const ServeOptions& s) {
  Serving out;
  const ModelConfig config = TRY(config_of(s.model));
  const DecoderOptions options = decoder_options(server_options(s));
  const auto fill = [&](const at::Tensor& weights) {
    return start_weights(s.model, config,
                         {weights.data_ptr<float>(), static_cast<std::size_t>(weights.numel())});
  };
  if (s.model.device == "cpu") {
    out.model = std::make_unique<Model>(config);
    TRY(fill(out.model->weights()));
    out.decoder = std::make_unique<CpuDecoder>(*out.model, options);
    return out;
  }
  out.device = TRY(Device::open(s.model.device == "cpu-device" ? "cpu" : s.model.device));
  const at::Tensor weights = at::empty({ParameterLayout(config).size()}, at::kFloat);
  TRY(fill(weights));
  out.decoder = TRY(
      device_decoder(config, weights, {out.device, s.model.dtype == "bf16", !s.separate}, options));
  return out;
}

std::vector<Prompt> prompts_of(const ServeOptions& s, const std::vector<Arrival>& arrivals,
                               std::int64_t vocab) {
  Rng ids(s.model.seed, "serve.prompts");
  std::vector<Prompt> out;
  for (const Arrival& arrival : arrivals) {
    Prompt one{std::vector<std::int64_t>(arrival.prompt), arrival.output};
    for (std::int64_t& id : one.tokens)
      id = static_cast<std::int64_t>(ids.below(static_cast<std::uint64_t>(vocab)));
    out.push_back(std::move(one));
  }
  return out;
}

Result<std::vector<Served>> serve(Server& server, const std::vector<Arrival>& arrivals,
                                  const std::vector<Prompt>& prompts, const Control& control) {
  std::map<std::uint64_t, Served> open;
  std::vector<Served> out;
  const Time began = time_now();
  std::size_t next = 0;
  while (next < arrivals.size() || server.busy()) {
    if (control.stop_asked()) return fail(Kind::kInterrupted, "serve");
    for (; next < arrivals.size() && began + arrivals[next].at <= time_now(); ++next) {
      TRY(server.add(next, prompts[next]));
      // From when it came, not from when this loop looked.
      open[next] = {began + arrivals[next].at, arrivals[next].prompt};
    }
    if (!server.busy()) {
      const Duration left = began + arrivals[next].at - time_now();
      ::poll(nullptr, 0, static_cast<int>(std::max<std::int64_t>(0, left / 1ms)));
      continue;
    }
    const std::vector<Server::Made>& made = server.round();
    const Time now = time_now();
    for (const Server::Made& one : made) {
      Served& served = open[one.request];
      served.tokens.push_back(now);
      if (!one.last) continue;
      out.push_back(std::move(served));
      open.erase(one.request);
    }
  }
  return out;
}

struct Rates {  // tokens a second
  double mean = 0, deviation = 0;
};
Rates rates_of(const std::vector<double>& values) {
  Rates out;
  for (const double value : values) out.mean += value / static_cast<double>(values.size());
  for (const double value : values)
    out.deviation += (value - out.mean) * (value - out.mean) /
                     static_cast<double>(std::max<std::size_t>(1, values.size() - 1));
  out.deviation = std::sqrt(out.deviation);
  return out;
}

// Tokens a second of one request alone, of its prompt or of what it makes.
Result<double> alone(Server& server, std::uint32_t prompt, std::uint32_t output) {
  TRY(server.add(0, {std::vector<std::int64_t>(prompt, 1), output}));
  Time first{}, last{};
  const Time began = time_now();
  while (server.busy())
    for (const Server::Made& made : server.round()) {
      last = time_now();
      if (first == Time{}) first = last;
      static_cast<void>(made);
    }
  const Duration span = output > 1 ? last - first : first - began;
  const double tokens = output > 1 ? output - 1 : prompt;
  return tokens / std::chrono::duration<double>(span).count();
}

constexpr std::uint32_t kPrompt = 512, kMade = 128;

// pp512, tg128 and MBU, as members of a JSON object.
Result<std::string> singles(Server& server, const Serving& serving, std::uint64_t repetitions) {
  std::vector<double> pp, tg;
  for (std::uint64_t i = 0; i < repetitions; ++i) {
    pp.push_back(TRY(alone(server, kPrompt, 1)));
    tg.push_back(TRY(alone(server, 1, kMade)));
  }
  const Rates prompt = rates_of(pp), made = rates_of(tg);
  const MemoryRate memory = serving.model ? host_memory_rate() : device_memory_rate(serving.device);
  const std::int64_t each = serving.decoder->bytes_of_token(kMade / 2);
  const double used = made.mean * static_cast<double>(each) / memory.bytes_per_second;
  return fmt::format(
      ",\"pp512\":{:.1f},\"pp512_deviation\":{:.1f},\"tg128\":{:.1f},\"tg128_deviation\":{:.1f},"
      "\"step_bytes\":{},\"memory_bytes_per_second\":{:.4g},\"memory_rate_of\":\"{}\","
      "\"mbu\":{:.4f}",
      prompt.mean, prompt.deviation, made.mean, made.deviation, each, memory.bytes_per_second,
      memory.of, used);
}

Result<int> bench(Outside& outside, const ServeOptions& work) {
  const Serving serving = TRY(serving_of(work));
  const ModelConfig& config = serving.decoder->config();
  Server server(*serving.decoder, server_options(work));
  const std::vector<Arrival> arrivals = arrivals_of(work);
  const auto prompts = prompts_of(work, arrivals, config.vocab);
  // What is made at the first round of either kind is made before the first request.
  TRY(alone(server, 1, 2));
  const auto served = TRY(serve(server, arrivals, prompts, outside.control));
  const ServeReport report = report_of(served, work.limits());
  std::string single;
  if (work.repetitions > 0) single = TRY(singles(server, serving, work.repetitions));
  outside.console.out(fmt::format(
      "{{\"bench\":\"serve\",\"cell\":\"{}, {}/s\","
      "\"model\":\"{}\",\"parameters\":{},\"device\":\"{}\","
      "\"dtype\":\"{}\",\"threads\":{},\"requests\":{},\"rate\":{},\"prompt\":{},\"output\":{},"
      "\"most_requests\":{},\"round_tokens\":{},\"pool_bytes\":{},{}{},\"device_bytes\":{:.0f}}}\n",
      work.model.model, work.rate, work.model.model, parameter_count(config),
      serving.decoder->device(), work.model.dtype, work.model.threads, report.requests, work.rate,
      work.prompt, work.output, work.most, work.round, serving.decoder->pool_bytes(),
      to_json(report), single, serving.device.peak_bytes()));
  return cli::kOk;
}

}  // namespace

Result<int> serve_bench_command(Outside& outside, std::span<const std::string> arguments) {
  ServeOptions work;
  Options options;
  list(options, work);
  if (TRY(read_options(outside.console, options, "serve-bench", arguments)) == Asked::kHelp)
    return cli::kOk;
  TRY(check(work));
  if (!work.url.empty()) return serve_remote(outside, work);
  at::set_num_threads(static_cast<int>(work.model.threads));
  work.model.sequence = std::max<std::uint64_t>(2 * (work.prompt + work.output), kPrompt + kMade);
  return within_memory("serve", "a smaller --pool-tokens or --model, or --dtype bf16 on a device",
                       [&] { return bench(outside, work); });
}

}  // namespace longhaul::trainer
