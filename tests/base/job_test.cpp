#include "lib/base/job.hpp"

#include <gtest/gtest.h>

namespace longhaul {
namespace {

class Double final : public Work {
 public:
  explicit Double(int n) : n_(n) {}
  void run() override { n_ *= 2; }
  int n_;
};
class Other final : public Work {
  void run() override {}
};

TEST(Job, CarriesItsResultBack) {
  Job job{JobId(7), JobClass::kCompute, std::make_unique<Double>(21)};
  job.work->run();
  EXPECT_EQ(job.as<Double>().n_, 42);
  EXPECT_FALSE(job.is<Other>());
}

TEST(JobDeathTest, WrongTypeStops) {
  const Job job{JobId(7), JobClass::kCompute, std::make_unique<Double>(21)};
  EXPECT_DEATH(static_cast<void>(job.as<Other>()), "bug");
}

}  // namespace
}  // namespace longhaul
