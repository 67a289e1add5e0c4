#include "proxy/home.hpp"

#include <gtest/gtest.h>

#include <map>

namespace longhaul::proxy {
namespace {

auto environment(std::map<std::string, std::string> values) {
  return [values = std::move(values)](const std::string& name) -> std::optional<std::string> {
    const auto found = values.find(name);
    return found == values.end() ? std::nullopt : std::optional(found->second);
  };
}

TEST(Home, FollowsLonghaulHomeThenXdgThenHome) {
  EXPECT_EQ(find_home(environment({{"LONGHAUL_HOME", "/l"}, {"HOME", "/h"}}))->config, "/l/config");
  const auto xdg = find_home(environment({{"XDG_CONFIG_HOME", "/c"}, {"HOME", "/h"}}));
  EXPECT_EQ(xdg->config, "/c/longhaul");
  EXPECT_EQ(xdg->state, "/h/.local/state/longhaul");
}

TEST(Home, IgnoresARelativeFolderAndSaysWhenThereIsNone) {
  const auto none = find_home(environment({{"LONGHAUL_HOME", "here"}}));
  EXPECT_EQ(none.error().kind(), Kind::kUsage);
  EXPECT_FALSE(none.error().advice().empty());
}

}  // namespace
}  // namespace longhaul::proxy
