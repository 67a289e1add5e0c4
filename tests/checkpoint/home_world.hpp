// Home: a laptop and a site with a run that announced checkpoints, a session double between them.
// Verbs announce, pull, kill and compare what came home.
#pragma once

#include <gtest/gtest.h>

#include "lib/checkpoint/home_sink.hpp"
#include "lib/checkpoint/serve.hpp"
#include "tests/checkpoint/weights.hpp"
#include "tests/feed/run_writer.hpp"
#include "tests/transfer/world.hpp"

namespace longhaul::test {

using checkpoint::Form;
using checkpoint::HomeOptions;
using checkpoint::HomeSink;
using checkpoint::Wanted;
using session::Lane;
using store::TreeName;
using transfer::Exchange;

class RunHost final : public transfer::Host {
 public:
  explicit RunHost(store::Files& files) : files_(files) {}
  Result<std::shared_ptr<transfer::Sink>> receive(const wire::Offer&) override {
    return fail(Kind::kPermission, "receive");
  }
  Result<std::unique_ptr<transfer::FetchWork>> send(const wire::Fetch&) override {
    return fail(Kind::kPermission, "send");
  }
  Result<std::unique_ptr<transfer::FetchWork>> send(const wire::FetchCheckpoint& fetch) override {
    return checkpoint::open_checkpoint(files_, fetch);
  }
  Result<std::unique_ptr<transfer::AskWork>> answer(const wire::Ask& ask) override {
    return checkpoint::list_checkpoints(files_, ask);
  }

 private:
  store::Files& files_;
};

inline constexpr std::uint64_t kModelFloats = 400'000;

// Laptop A, site B.
class Home {
 public:
  explicit Home(std::uint64_t seed = 1, DoubleLink shape = {}, sim::CrashFiles::Options disk = {})
      : laptop(std::make_shared<sim::CrashFiles>(disk)),
        rng_(seed, "home"),
        link_(seed, shape),
        log_(site, "r", 1) {
    boot(End::kA);
    boot(End::kB);
  }
  // frozen: weights that are the same in every step.
  void announce(std::uint64_t step, std::uint64_t floats_in_it = 1000, std::uint64_t frozen = 0) {
    Rng same(7, "frozen");
    const std::string folder = "runs/r/checkpoints/step-" + std::to_string(step);
    put_file(site, folder + "/config.json", bytes_of("{}"));
    put_file(site, folder + "/model.safetensors",
             safetensors({{"e", "F32", std::to_string(frozen), floats(same, frozen)},
                          {"w", "F32", std::to_string(floats_in_it), floats(rng_, floats_in_it)}}));
    put_file(site, folder + "/state.safetensors",
             safetensors({{"m", "F32", "500", floats(rng_, 500)}}));
    log_.event(run::EventKind::kCheckpoint, step, 0, "/cluster/" + folder);
  }
  void boot(End end) {
    auto& exchange = exchanges_[static_cast<std::size_t>(end)];
    if (end == End::kB) host_ = std::make_unique<RunHost>(site);
    exchange = std::make_unique<Exchange>(
        end == End::kA ? transfer::Side::kDialer : transfer::Side::kListener,
        end == End::kA ? nullptr : host_.get(), transfer::ExchangeOptions{});
    link_.attach(end, *exchange);
  }
  void kill(End end) {
    link_.kill(end);
    exchanges_[static_cast<std::size_t>(end)].reset();
    (end == End::kA ? *laptop : site).kill_process();
  }
  void start(const Wanted& wanted, std::size_t keep = 0) {
    HomeOptions options;
    options.run = "s/r";
    options.wanted = wanted;
    options.keep = keep;
    Exchange::PullOptions pull;
    pull.dataset = "r";
    pull.unfinished = checkpoint::may_be_here(*laptop, "s/r", wanted);
    pull.checkpoint = {wanted.checkpoint.step, wanted.form == Form::kFull};
    at(End::kA).start_pull(link_.now(), pull, std::make_shared<HomeSink>(laptop, options));
    link_.pump();
  }
  // How it ended, if it did.
  std::optional<Finished> heard() {
    std::optional<Finished> out;
    while (auto event = at(End::kA).poll_event())
      if (auto* one = std::get_if<Finished>(&*event)) out = std::move(*one);
    return out;
  }
  std::optional<Finished> run() {
    std::optional<Finished> end;
    link_.run_until([&] { return (end = heard()).has_value(); });
    return end;
  }
  std::optional<Kind> pull(const Wanted& wanted, std::size_t keep = 0) {
    start(wanted, keep);
    const auto end = run();
    EXPECT_TRUE(end.has_value());
    return end && end->error ? std::optional(end->error->kind()) : std::nullopt;
  }
  std::vector<wire::Line> list(const std::string& run, std::optional<Kind>* refused = nullptr) {
    std::vector<wire::Line> lines;
    at(End::kA).ask(link_.now(), wire::AskType::kCheckpoints, run, 0);
    link_.pump();
    link_.run_until([&] {
      while (auto event = at(End::kA).poll_event()) {
        if (auto* page = std::get_if<transfer::Page>(&*event))
          lines.insert(lines.end(), page->lines.begin(), page->lines.end());
        if (auto* answered = std::get_if<transfer::Answered>(&*event)) {
          if (refused != nullptr && answered->error) *refused = answered->error->kind();
          return true;
        }
      }
      return false;
    });
    return lines;
  }
  std::vector<std::string> names() {
    std::vector<std::string> out;
    const auto folder = std::move(laptop->open_folder(TreeName()).value());
    const std::vector<store::Found> listed = folder->next(100).value();
    for (const auto& found : listed) out.push_back(found.name);
    std::sort(out.begin(), out.end());
    return out;
  }
  ByteVector content(const std::string& name) {
    return store::read_whole(*laptop, TreeName::known(name), 1U << 28).value_or(ByteVector());
  }
  // What is home is what the site has.
  void expect_whole(const Wanted& wanted) {
    const std::string step = std::to_string(wanted.checkpoint.step);
    const auto form = checkpoint::CheckpointFiles::open(
        site, TreeName::known("runs/r/checkpoints/step-" + step), wanted.form);
    ASSERT_TRUE(form);
    const std::string folder = checkpoint::home_name(wanted).text();
    for (const auto& row : (*form)->rows())
      EXPECT_TRUE(equal(content(folder + "/" + row.entry.name.text()),
                        *store::read_whole(**form, row.entry.name, 1U << 28)));
    const auto held = checkpoint::read_held(*laptop, TreeName::known(folder));
    ASSERT_TRUE(held);
    EXPECT_EQ(held->what, wanted);
    EXPECT_EQ(held->run, "s/r");
  }
  Exchange& at(End end) { return *exchanges_[static_cast<std::size_t>(end)]; }
  SessionDouble& link() { return link_; }
  Rng& rng() { return rng_; }

  const std::shared_ptr<sim::CrashFiles> laptop;
  sim::CrashFiles site;

 private:
  Rng rng_;
  std::unique_ptr<RunHost> host_;
  std::array<std::unique_ptr<Exchange>, 2> exchanges_;
  SessionDouble link_;
  RunWriter log_;
};

inline Wanted weights(std::uint64_t step, std::uint32_t attempt = 1) {
  return {{attempt, step}, Form::kWeights};
}

}  // namespace longhaul::test
