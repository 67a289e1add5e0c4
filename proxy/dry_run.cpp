#include "proxy/dry_run.hpp"

#include <fmt/format.h>

#include <thread>

#include "lib/cli/exit_code.hpp"
#include "lib/cli/human.hpp"
#include "lib/transfer/plan.hpp"
#include "lib/transfer/plan_sample.hpp"
#include "proxy/dataset_memory.hpp"
#include "proxy/link_file.hpp"
#include "proxy/network.hpp"
#include "proxy/site_rates.hpp"

namespace longhaul::proxy {
namespace {

BytesPerSecond rate_of(std::uint64_t bytes, Duration took) {
  const auto us = static_cast<std::uint64_t>(std::max<std::int64_t>(took / 1us, 1));
  return BytesPerSecond(bytes * 1'000'000 / us);  // samples are at most some MiB
}

double seconds(Duration span) {
  return static_cast<double>(span.count()) / 1e9;
}

void tell_json(App& app, const DryRun& what, const transfer::PushPlan& plan,
               const transfer::Prediction& predicted) {
  cli::JsonLine line;
  line.add("event", "plan").add("dataset", what.dataset).add("files", plan.files);
  line.add("bytes", plan.bytes).add("bytes_to_read", plan.unread_bytes);
  line.add("bytes_present", plan.present_bytes).add("bytes_to_send", plan.send_bytes);
  line.add("files_to_send", plan.send_files).add("bytes_wire", predicted.wire_bytes);
  line.add("bytes_manifest", predicted.manifest_bytes);
  line.add("reading_seconds", seconds(predicted.reading))
      .add("encoding_seconds", seconds(predicted.encoding));
  line.add("sending_seconds", seconds(predicted.sending))
      .add("publishing_seconds", seconds(predicted.publishing));
  if (predicted.time)
    line.add("seconds", seconds(*predicted.time)).add("limit", transfer::name_of(predicted.limit));
  app.json_line(line);
}

std::string_view words_for(transfer::Stage limit) {
  return limit == transfer::Stage::kPeer ? "publishing there" : transfer::name_of(limit);
}

void tell(App& app, const DryRun& what, const transfer::PushPlan& plan,
          const transfer::Prediction& predicted) {
  const auto size = [](std::uint64_t bytes) { return cli::human(ByteCount(bytes)); };
  if (plan.unchanged) {
    app.console.err(fmt::format("{}: {} files, {}; unchanged, nothing would be sent\n",
                                what.dataset, plan.files, size(plan.bytes)));
    return;
  }
  app.console.err(fmt::format("{}: {} files, {}; {} must be read, {} are there\n", what.dataset,
                              plan.files, size(plan.bytes), size(plan.unread_bytes),
                              size(plan.present_bytes)));
  app.console.err(fmt::format("would send {} of {} files, about {} on the wire\n",
                              size(plan.send_bytes), plan.send_files,
                              size(predicted.wire_bytes + predicted.manifest_bytes)));
  if (predicted.time)
    app.console.err(fmt::format("would take about {}; limit: {}\n", cli::human(*predicted.time),
                                words_for(predicted.limit)));
  else
    app.console.err("no time is told: no push to " + what.site.name +
                    " has measured the link yet\n");
}

}  // namespace

io::Task<int> dry_run(App& app, DryRun what, const ScannedSource& scanned) {
  const transfer::SiteMemory memory = load_memory(app, what.site.name, what.dataset);
  const transfer::PushPlan plan = transfer::plan_push(*scanned.source, memory);
  const SiteRates site = load_rates(app, what.site.name);
  transfer::PlanRates rates;
  rates.link = load_link(app, what.site.name, network_now());
  rates.cores = std::max(1U, std::thread::hardware_concurrency());
  rates.walk = what.walk;
  rates.publish = site.publish;
  rates.publish_per_file = site.publish_per_file;
  if (site.rate.value() > 0) rates.link.rate = site.rate;
  rates.unfinished = memory.unfinished;
  if (what.limit.value() > 0) rates.limit = what.limit;

  if (plan.send_bytes > 0) {
    const Time read_from = app.env.now();
    Job reading{JobId(1), JobClass::kDisk,
                std::make_unique<transfer::SampleRead>(scanned.source, memory)};
    const Job read = co_await app.env.work(std::move(reading));
    auto& sample = read.as<transfer::SampleRead>();
    const Time encode_from = app.env.now();
    rates.read = rate_of(sample.bytes, encode_from - read_from);
    BytesPerSecond link = rates.link.rate;
    if (rates.limit && (link.value() == 0 || *rates.limit < link)) link = *rates.limit;
    Job encoding{JobId(2), JobClass::kEncode,
                 std::make_unique<transfer::SampleEncode>(scanned.source, sample, link, rates.cores,
                                                          &io::thread_cpu_time)};
    const Job encoded = co_await app.env.work(std::move(encoding));
    const auto& made = encoded.as<transfer::SampleEncode>();
    rates.encode = rate_of(made.tried_bytes, app.env.now() - encode_from);
    if (made.raw_bytes > 0) rates.wire_per_mille = made.encoded_bytes * 1000 / made.raw_bytes;
  }
  const transfer::Prediction predicted = transfer::predict(plan, rates);
  if (app.json)
    tell_json(app, what, plan, predicted);
  else
    tell(app, what, plan, predicted);
  co_return cli::kOk;
}

}  // namespace longhaul::proxy
