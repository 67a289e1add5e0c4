#include "lib/doctor/machine.hpp"

#include <gtest/gtest.h>

namespace longhaul::doctor {
namespace {

Facts good_host() {
  Facts facts;
  facts.congestion_control = "bbr";
  facts.congestion_controls = "reno cubic bbr";
  facts.send_buffer_max = facts.receive_buffer_max = 32U << 20;
  facts.watches_max = 1U << 20;
  facts.files_max = facts.files_hard_max = 65'536;
  facts.has_openat2 = true;
  facts.now = {1'780'000'000LL * 1'000'000'000};
  return facts;
}

TEST(Doctor, FindsNothingWrongWithAGoodHost) {
  for (const Finding& finding : examine(good_host())) {
    EXPECT_EQ(finding.level, Level::kOk) << finding.check;
    EXPECT_EQ(finding.fix, "") << finding.check;
  }
}

TEST(Doctor, FailsAClockBeforeAnyRelease) {
  Facts facts = good_host();
  facts.now = {0};
  EXPECT_EQ(check_clock(facts).level, Level::kFail);
  EXPECT_NE(check_clock(facts).found.find("1970-01-01"), std::string::npos);
}

TEST(Doctor, WarnsOfCubicOnlyWhereBbrIsNotToBeHad) {
  Facts facts = good_host();
  facts.congestion_control = "cubic";
  EXPECT_EQ(check_congestion_control(facts).level, Level::kOk);
  facts.congestion_controls = "reno cubic";
  EXPECT_EQ(check_congestion_control(facts).level, Level::kWarn);
  EXPECT_NE(check_congestion_control(facts).fix.find("tcp_bbr"), std::string::npos);
}

TEST(Doctor, TellsWhatSmallBuffersCarry) {
  Facts facts = good_host();
  facts.send_buffer_max = 4U << 20;  // Linux's own default
  EXPECT_EQ(check_buffers(facts).level, Level::kWarn);
  EXPECT_NE(check_buffers(facts).found.find("93 Mbit/s at 180 ms"), std::string::npos)
      << check_buffers(facts).found;
}

TEST(Doctor, JudgesDescriptorsByWhatASessionNeeds) {
  Facts facts = good_host();
  facts.files_max = 512;
  EXPECT_EQ(check_descriptors(facts).level, Level::kWarn);
  EXPECT_NE(check_descriptors(facts).fix.find("ulimit"), std::string::npos);
  facts.files_max = facts.files_hard_max = 128;
  EXPECT_EQ(check_descriptors(facts).level, Level::kFail);
  EXPECT_NE(check_descriptors(facts).fix.find("nofile"), std::string::npos);
}

}  // namespace
}  // namespace longhaul::doctor
