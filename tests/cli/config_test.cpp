#include "lib/cli/config.hpp"

#include <gtest/gtest.h>

namespace longhaul::cli {
namespace {

Config::Environment only(const std::string& name, const std::string& value) {
  return
      [=](const std::string& asked) { return asked == name ? std::optional(value) : std::nullopt; };
}

TEST(Config, EnvironmentBeatsProjectBeatsUser) {
  Config config(only("LONGHAUL_PUSH_LIMIT_RATE", "1mbit"));
  ASSERT_TRUE(
      config.add_file("[push]\nlimit_rate = '2mbit'\n[log]\nlevel = 'debug'\n", "longhaul.toml"));
  ASSERT_TRUE(config.add_file("log.level = 'warn'\nsession.connections_max = 4\n", "config.toml"));
  EXPECT_EQ(config.find("push.limit_rate")->value, "1mbit");
  EXPECT_EQ(config.find("push.limit_rate")->origin, "LONGHAUL_PUSH_LIMIT_RATE");
  EXPECT_EQ(config.find("log.level")->value, "debug");
  EXPECT_EQ(config.find("log.level")->origin, "longhaul.toml:4");
  EXPECT_EQ(config.find("session.connections_max")->value, "4");
  EXPECT_FALSE(config.find("ssh.command").has_value());
}

TEST(Config, RefusesAMisspeltKeyAndNamesItsPlace) {
  Config config(only("", ""));
  const auto result = config.add_file("\n[push]\nlimit_rat = '2mbit'\n", "longhaul.toml");
  EXPECT_EQ(result.error().message(), "read longhaul.toml:3: there is no setting 'push.limit_rat'");
}

TEST(Config, NamesTheLineOfASyntaxError) {
  Config config(only("", ""));
  const auto result = config.add_file("[push\n", "longhaul.toml");
  EXPECT_EQ(result.error().kind(), Kind::kMalformed);
  EXPECT_NE(result.error().attempt().find("longhaul.toml:1:"), std::string::npos);
}

}  // namespace
}  // namespace longhaul::cli
