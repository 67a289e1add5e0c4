#include "lib/doctor/store_root.hpp"

#include <gtest/gtest.h>

namespace longhaul::doctor {
namespace {

TEST(StateCheck, ADiskOfThisHostIsRight) {
  EXPECT_EQ(check_state({"/root/.longhaul", false, true, {}}).level, Level::kOk);
  const Finding own = check_state({"/scratch/longhaul-1", true, true, {}});
  EXPECT_EQ(own.level, Level::kOk);
  EXPECT_NE(own.found.find("/scratch/longhaul-1"), std::string::npos);
}

TEST(StateCheck, ASharedFileSystemIsToldWithWhatMendsIt) {
  const Finding found = check_state({"/lustre/.longhaul", false, true, "Lustre"});
  EXPECT_EQ(found.level, Level::kWarn);
  EXPECT_NE(found.found.find("Lustre"), std::string::npos);
  EXPECT_NE(found.fix.find("--state DIR"), std::string::npos);
}

TEST(StateCheck, ALostStateLosesNothing) {
  const Finding found = check_state({"/scratch/longhaul-1", true, false, {}});
  EXPECT_EQ(found.level, Level::kWarn);
  EXPECT_NE(found.fix.find("nothing is lost"), std::string::npos);
}

}  // namespace
}  // namespace longhaul::doctor
