// Training on a GPU, held against the CPU's; skipped where there is none.
#include "tests/trainer/device_serving_checks.hpp"
#include "tests/trainer/learner_checks.hpp"

namespace longhaul::trainer {
namespace {

INSTANTIATE_TEST_SUITE_P(Gpu, OnDevice, testing::Values("cuda"));

}  // namespace
}  // namespace longhaul::trainer
