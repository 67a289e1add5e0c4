#include "lib/cli/toml_sections.hpp"

#include <gtest/gtest.h>

namespace longhaul::cli {
namespace {

TEST(TomlSections, GoThereAndBack) {
  const Sections sections{
      {"asuncion", {{"address", "gpu.example.org:7700"}, {"note", "a \"b\"\n"}}},
      {"lab-2", {{"role", "owner"}}}};
  EXPECT_EQ(*read_sections(write_sections(sections), "sites.toml"), sections);
}

TEST(TomlSections, NameThePlaceOfAnError) {
  EXPECT_EQ(read_sections("[a]\nb = [1]\n", "sites.toml").error().attempt(), "read sites.toml:2");
  EXPECT_EQ(read_sections("x = 1\n", "sites.toml").error().message(),
            "read sites.toml:1: only [sections] of plain values belong here");
  EXPECT_EQ(read_sections("[a\n", "sites.toml").error().kind(), Kind::kMalformed);
}

}  // namespace
}  // namespace longhaul::cli
