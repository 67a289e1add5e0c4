// Learner's two sides against each other, and what a device tells by events, on the device of the
// parameter.
#pragma once

#include <torch/csrc/api/include/torch/version.h>

#include <algorithm>
#include <barrier>
#include <deque>
#include <thread>

#include "tests/trainer/device_checks.hpp"
#include "trainer/engine/learner.hpp"

namespace longhaul::trainer {

using HostFloats = std::vector<float>;

// Weights first, then the state in its order.
inline std::vector<HostFloats> held_by(Learner& learner) {
  std::vector<HostFloats> out;
  const auto copied = [&](std::span<const float> weights, std::span<const NamedFloats> state) {
    out.emplace_back(weights.begin(), weights.end());
    for (const auto& [name, floats] : state) out.emplace_back(floats.begin(), floats.end());
    return Result<>();
  };
  EXPECT_TRUE(learner.fill(copied));
  return out;
}

inline void draw(Learner& learner) {
  EXPECT_TRUE(learner.fill([&](std::span<float> weights, std::span<const NamedFloats>) {
    draw_weights(learner.config(), ParameterLayout(learner.config()), 3, weights);
    return Result<>();
  }));
}

// A run of both, micro batches, clipping and an extrapolation that changes among them: what they
// tell and what they hold. The device's outcomes come a step late, in order.
TEST_P(OnDevice, LearnersOfCpuAndDeviceAgree) {
  for (const char* rule : {"transported", "adamw", "normuon"}) {
    SCOPED_TRACE(rule);
    OptimizerConfig rules = optimizer_preset(rule).value();
    rules.clip = 0.5;
    const auto cpu = cpu_learner(grouped_config(false), rules, {});
    const auto got = device_learner(grouped_config(false), rules, {}, device);
    EXPECT_EQ(cpu->late(), 0U);
    EXPECT_EQ(got->late(), 1U);
    std::deque<StepOutcome> expected;
    const auto hear = [&] {
      const StepOutcome want = expected.front(), outcome = got->hear();
      expected.pop_front();
      EXPECT_NEAR(outcome.loss, want.loss, 1e-3 * want.loss);
      EXPECT_NEAR(outcome.report.gradient_norm, want.report.gradient_norm,
                  1e-2 * want.report.gradient_norm);
      EXPECT_TRUE(outcome.report.applied);
      EXPECT_TRUE(outcome.device);
      EXPECT_FALSE(want.device);
    };
    for (Learner* learner : {cpu.get(), got.get()}) draw(*learner);
    for (std::uint64_t step = 0; step < 6; ++step) {
      for (Learner* learner : {cpu.get(), got.get()}) {
        learner->begin({.step = step, .factor = 1 - 0.1 * double(step)}, step < 3 ? 1.5 : 0.5);
        for (std::int64_t sample = 0; sample < kSamples; ++sample)
          learner->train(batch(sample, 1), 1.0F / (kSamples * kSequence), {});
        learner->end({});
      }
      expected.push_back(cpu->hear());
      if (step > 0) hear();
    }
    hear();
    const std::vector<HostFloats> want = held_by(*cpu), same = held_by(*got);
    ASSERT_EQ(same.size(), want.size());
    // AdamW's first step is a sign: a gradient of nearly 0 may get the other one.
    for (std::size_t i = 0; i < want.size(); ++i) {
      const at::Tensor exact = at::tensor(want[i]);
      EXPECT_LT(((at::tensor(same[i]) - exact).norm() / exact.norm()).item<double>(), 5e-3) << i;
    }
    for (Learner* learner : {cpu.get(), got.get()}) learner->read_at_weights();
    const double loss = cpu->evaluate(batch(0, kSamples));
    EXPECT_NEAR(got->evaluate(batch(0, kSamples)), loss, 1e-3 * loss);
  }
}

// It leaves no trace: not in weights or state, not in the gradient of the first step.
TEST_P(OnDevice, WhoIsPreparedLearnsTheSameBits) {
  const OptimizerConfig rules = optimizer_preset("transported").value();
  const auto check = [&](Learner& prepared, Learner& other) {
    double losses[2] = {};
    for (Learner* learner : {&prepared, &other}) {
      draw(*learner);
      if (learner == &prepared) learner->prepare_steps(kSamples, kSequence);
      for (std::uint64_t step = 0; step < 2; ++step) {
        learner->begin({.step = step}, 0.5);
        learner->train(batch(0, kSamples), 1.0F / (kSamples * kSequence), {});
        learner->end({});
        losses[learner == &other] += learner->hear().loss;
      }
    }
    EXPECT_EQ(losses[0], losses[1]);
    EXPECT_EQ(held_by(prepared), held_by(other));
  };
  check(*device_learner(grouped_config(false), rules, {}, device),
        *device_learner(grouped_config(false), rules, {}, device));
  for (const bool consume : {false, true})
    check(*cpu_learner(grouped_config(false), rules, {.consume = consume}),
          *cpu_learner(grouped_config(false), rules, {.consume = consume}));
}

// What either holds is what the other goes on from: the same names and lengths.
TEST_P(OnDevice, ALearnerGoesOnFromTheOthersState) {
  const OptimizerConfig rules = optimizer_preset("transported").value();
  const auto from = device_learner(grouped_config(false), rules, {}, device);
  const auto to = cpu_learner(grouped_config(false), rules, {});
  draw(*from);
  from->begin({}, 0);
  from->train(batch(0, kSamples), 0.1F, {});
  from->end({});
  from->hear();
  from->prepare_snapshots();
  const Snapshot saved = from->snapshot();
  saved.filled();
  ASSERT_TRUE(to->fill([&](std::span<float> weights, std::span<const NamedFloats> state) {
    std::ranges::copy(saved.weights, weights.begin());
    EXPECT_EQ(state.size(), saved.state.size());
    for (std::size_t i = 0; i < state.size(); ++i) {
      EXPECT_EQ(state[i].first, saved.state[i].first);
      EXPECT_EQ(state[i].second.size(), saved.state[i].second.size());
      std::ranges::copy(saved.state[i].second, state[i].second.begin());
    }
    return Result<>();
  }));
  EXPECT_EQ(held_by(*to), held_by(*from));
  EXPECT_EQ(to->take_loss(), 0);
}

// Also when the next step has been asked for before its copies were waited for.
TEST_P(OnDevice, ASnapshotIsOfTheMomentItWasTakenAt) {
  const OptimizerConfig rules = optimizer_preset("muon").value();
  const auto on_device = device_learner(grouped_config(false), rules, {}, device);
  const auto on_cpu = cpu_learner(grouped_config(false), rules, {});
  for (Learner* learner : {on_device.get(), on_cpu.get()}) {
    draw(*learner);
    learner->prepare_snapshots();
    const auto step = [&](std::uint64_t number) {
      learner->begin({.step = number}, 0);
      learner->train(batch(0, kSamples), 0.1F, {});
      learner->end({});
    };
    step(0);
    learner->hear();
    const std::vector<HostFloats> then = held_by(*learner);
    const Snapshot saved = learner->snapshot();
    step(1);
    learner->hear();
    if (saved.filled) saved.filled();
    EXPECT_EQ(HostFloats(saved.weights.begin(), saved.weights.end()), then[0]);
    ASSERT_EQ(saved.state.size() + 1, then.size());
    for (std::size_t i = 0; i < saved.state.size(); ++i)
      EXPECT_EQ(HostFloats(saved.state[i].second.begin(), saved.state[i].second.end()),
                then[i + 1]);
    EXPECT_NE(held_by(*learner)[0], then[0]);
  }
}

// Ranks on one device, each in a thread: what one is gathered from the others' memory.
class SharedFactors {
 public:
  SharedFactors(const Device& device, std::size_t ranks)
      : device_(device), met_(static_cast<std::ptrdiff_t>(ranks)), parts_(ranks) {}
  bool loses = false;
  std::vector<std::size_t> gathered{};  // the counts of the last time
  Spread of(std::uint64_t rank) {
    return {rank, parts_.size(), [this, rank](auto all, auto counts) -> Result<> {
              if (loses) return fail(Kind::kLink, "gather");
              parts_[rank] = all.data();
              if (rank == 0) gathered.assign(counts.begin(), counts.end());
              met_.arrive_and_wait();
              for (std::size_t other = 0, first = 0; other < counts.size();
                   first += counts[other++])
                if (other != rank)
                  floats(all.data() + first, counts[other])
                      .copy_(floats(parts_[other] + first, counts[other]));
              device_.wait();
              met_.arrive_and_wait();
              return {};
            }};
  }

 private:
  at::Tensor floats(float* at, std::size_t count) const {
    return at::from_blob(at, {static_cast<std::int64_t>(count)},
                         at::TensorOptions(at::kFloat).device(device_.place()));
  }
  const Device& device_;
  std::barrier<> met_;
  std::vector<float*> parts_;
};

// Attention without cuDNN while it lives. On an H100 or H200 LibTorch prefers cuDNN's in bf16,
// whose way back adds up in any order.
class WithoutCudnnAttention {
 public:
#if defined(LONGHAUL_HAS_CUDA_TORCH) && TORCH_VERSION_MAJOR * 100 + TORCH_VERSION_MINOR >= 205
  WithoutCudnnAttention() {
    at::globalContext().setSDPUseCuDNN(false);
  }
  ~WithoutCudnnAttention() {
    at::globalContext().setSDPUseCuDNN(was_);
  }

 private:
  bool was_ = at::globalContext().userEnabledCuDNNSDP();
#else
  WithoutCudnnAttention() = default;
  ~WithoutCudnnAttention() {}
#endif
  WithoutCudnnAttention(const WithoutCudnnAttention&) = delete;
  WithoutCudnnAttention& operator=(const WithoutCudnnAttention&) = delete;
};

// With the same gradients all ranks hold the same bits, with the polar factors made by one each; on
// the CPU those of one rank alone, whatever a GPU's products of other batches give: there a
// product's way depends on how many it is made with, and in bf16 two ways are some roundings of
// 2^-9 apart after each of the polynomial's steps. Ranks whose others are gone at a step's end have
// done it all the same.
TEST_P(OnDevice, RanksShareTheirPolarFactors) {
  const WithoutCudnnAttention same_order;
  for (const char* rule : {"muon", "normuon", "transported"}) {
    for (const Products products : {Products::kFloat, Products::kBfloat16}) {
      for (const std::size_t ranks : {2U, 3U, 16U}) {
        SCOPED_TRACE(std::string(rule) + " of " + std::to_string(ranks));
        SharedFactors shared(device, ranks);
        std::vector<std::unique_ptr<Learner>> all;
        for (std::size_t rank = 0; rank <= ranks; ++rank) {
          all.push_back(device_learner(grouped_config(false), optimizer_preset(rule).value(),
                                       {.products = products}, device));
          draw(*all.back());
          if (rank < ranks) all.back()->spread(shared.of(rank));  // the last one is alone
        }
        std::vector<std::optional<Error>> lost(all.size());
        const auto step = [&](std::uint64_t number) {
          std::vector<std::thread> threads;
          for (std::size_t i = 0; i < all.size(); ++i)
            threads.emplace_back([&, i] {
              all[i]->begin({.step = number}, 1.5);
              all[i]->train(batch(0, kSamples), 0.1F, {});
              all[i]->end({});
              lost[i] = all[i]->hear().report.lost;
            });
          for (std::thread& thread : threads) thread.join();
        };
        const auto expect_equal = [&] {
          const std::vector<HostFloats> alone = held_by(*all.back());
          for (std::size_t i = 0; i + 1 < all.size(); ++i) {
            const std::vector<HostFloats> held = held_by(*all[i]);
            EXPECT_EQ(held, held_by(*all.front()));
            ASSERT_EQ(held.size(), alone.size());
            for (std::size_t part = 0; part < held.size(); ++part) {
              if (device.place().is_cpu())
                EXPECT_EQ(held[part], alone[part]);
              else
                EXPECT_LT(distance(at::tensor(held[part]), at::tensor(alone[part])),
                          products == Products::kBfloat16 ? 5e-2 : 5e-3);
            }
          }
        };
        step(0);
        step(1);
        EXPECT_EQ(shared.gathered.size(), ranks);
        EXPECT_GT(shared.gathered[0], 0U);
        EXPECT_GT(shared.gathered[1], 0U);
        for (const auto& error : lost) EXPECT_FALSE(error);
        expect_equal();
        shared.loses = true;
        step(2);
        for (std::size_t i = 0; i < lost.size(); ++i) EXPECT_EQ(lost[i].has_value(), i < ranks);
        expect_equal();
      }
    }
  }
}

// Ranges that are named final are, each once, in the order in which they are made.
TEST_P(OnDevice, FinalGradientsAreNamedOnce) {
  for (const bool tied : {false, true}) {
    DeviceModel<float> model(grouped_config(tied), device);
    Model start(model.config());
    start.init(3);
    model.load(start.weights());
    std::vector<int> named(std::size_t(model.layout().size()));
    std::vector<std::pair<std::int64_t, at::Tensor>> then;
    model.train(batch(0, kSamples), 0.1F, [&](std::int64_t offset, std::int64_t count) {
      for (std::int64_t i = offset; i < offset + count; ++i) ++named[std::size_t(i)];
      then.emplace_back(offset, model.gradients().narrow(0, offset, count).clone());
    });
    EXPECT_EQ(named, std::vector<int>(named.size(), 1));
    for (const auto& [offset, part] : then)
      EXPECT_TRUE(at::equal(part, model.gradients().narrow(0, offset, part.numel()))) << offset;
  }
}

TEST_P(OnDevice, AClockTellsWorkFromIdleness) {
  DeviceClock clock(device);
  const at::Tensor values = at::ones({1 << 20}, at::TensorOptions().device(device.place()));
  const auto step = [&] {
    clock.begin();
    for (int i = 0; i < 20; ++i) values.add_(1);
    clock.end();
  };
  step();
  step();
  clock.interrupt();
  device.wait();
  const DeviceClock::Spent first = clock.take(), second = clock.take();
  step();
  device.wait();
  const DeviceClock::Spent third = clock.take();
  EXPECT_EQ(first.idle, 0);  // there was none before
  EXPECT_GT(second.idle, 0);
  EXPECT_EQ(third.idle, 0);  // other work may have come between
  for (const auto& spent : {first, second, third}) EXPECT_GT(spent.busy, 0);
}

}  // namespace longhaul::trainer
