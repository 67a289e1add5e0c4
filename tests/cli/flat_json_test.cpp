#include "lib/cli/flat_json.hpp"

#include <gtest/gtest.h>

namespace longhaul::cli {
namespace {

TEST(FlatJson, JoinsNestedNames) {
  const auto rows = flat_json(R"({"lr":0.5,"model":{"width":64,"name":"a"},"tags":["x",1]})");
  ASSERT_TRUE(rows.has_value());
  const std::map<std::string, std::string> expected = {
      {"lr", "0.5"}, {"model/name", "a"}, {"model/width", "64"}, {"tags", R"(["x",1])"}};
  EXPECT_EQ(*rows, expected);
}

TEST(FlatJson, WhatIsNoObjectIsMalformed) {
  for (const char* bad : {"", "{", "[1]", "3", "{\"a\":}"})
    EXPECT_EQ(flat_json(bad).error().message(), "read JSON: it is no JSON object") << bad;
}

TEST(FlatJson, ADeepNestIsRefusedBeforeItIsRead) {
  const std::string deep = "{\"a\":" + std::string(1'000'000, '[') + "}";
  EXPECT_EQ(flat_json(deep).error().message(), "read JSON: it is nested too deep");
}

}  // namespace
}  // namespace longhaul::cli
