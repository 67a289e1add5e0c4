#include "lib/cli/json_line.hpp"

#include <gtest/gtest.h>

namespace longhaul::cli {
namespace {

TEST(JsonLine, KeepsOrderAndEscapes) {
  std::vector<JsonLine> list;
  list.push_back(std::move(JsonLine().add("n", 1)));
  JsonLine line;
  line.add("z", "a\"\n").add("a", std::uint64_t{18'446'744'073'709'551'615U}).add("ok", true);
  line.add("list", std::move(list));
  EXPECT_EQ(line.text(), R"({"z":"a\"\n","a":18446744073709551615,"ok":true,"list":[{"n":1}]})");
}

TEST(JsonLine, ReplacesBytesThatAreNoText) {
  EXPECT_EQ(JsonLine().add("name", "a\xff").text(), "{\"name\":\"a\xef\xbf\xbd\"}");
}

}  // namespace
}  // namespace longhaul::cli
